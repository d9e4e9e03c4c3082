"""All benchmarks: `make bench`."""

from benchmarks import call_overhead, import_cost

import_cost.main()
call_overhead.main()
