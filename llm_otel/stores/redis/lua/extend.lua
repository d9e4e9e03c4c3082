-- Let the lease of what is held start anew. ARGV[4] lease in ms

local hold = read_hold(KEYS[4])
if not hold or hold.state ~= 'held' then
  return 0
end
call('ZADD', KEYS[3], string.format('%.0f', now + ARGV[4]), ARGV[3])
return 1
