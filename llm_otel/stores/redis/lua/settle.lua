-- Replace a hold by what the request cost.
-- ARGV[4] the actual cost  [5] lines

local actual = ARGV[4]
local lines = read_lines(ARGV[5])
local hold = read_hold(KEYS[4])
local found = hold and hold.state or 'unknown'

if found == 'settled' then
  return {hold.actual == actual and 'repeated' or 'conflict'}
elseif found == 'unknown' then
  for _, line in ipairs(lines) do
    add(line.row, 'spent', actual)
    keep(line, wanted(line))
  end
else
  for _, row in ipairs(standing_rows(hold)) do
    add(row, 'spent', actual)
    if found == 'held' then
      take(row, 'held', hold.amount)
    else
      take(row, 'spent', hold.floor)
    end
  end
  call('ZREM', KEYS[3], ARGV[3])
end
write_end(KEYS[4], {state = 'settled', actual = actual})

for _, line in ipairs(lines) do
  read_standing(line)
end
return tell_crossings(lines, {found})
