-- Hold an amount on all lines, or on none.
-- ARGV[4] amount  [5] floor  [6] lease in ms  [7] lines

sweep(SWEEP_BATCH)
local lines = read_lines(ARGV[7])
local amount = ARGV[4]

local known = read_hold(KEYS[4])
if known then
  return {known.state == 'held' and 'granted' or 'ended'}
end

for _, line in ipairs(lines) do
  if line.over and (now < line.start * 1000 or now >= line.over * 1000) then
    return {'moved', string.format('%.0f', now)}
  end
end

local fits = true
for _, line in ipairs(lines) do
  read_standing(line)
  fits = fits and (not line.is_hard or line.total_spent + total(line.held) + amount <= tonumber(line.limit))
end

if not fits then
  local answer = {'refused', string.format('%.0f', now)}
  for _, line in ipairs(lines) do
    answer[#answer + 1] = written(line.spent)
    answer[#answer + 1] = written(line.held)
  end
  return tell_crossings(lines, answer)
end

local hold = {state = 'held', amount = amount, floor = ARGV[5], rows = {}}
for i, line in ipairs(lines) do
  add(line.row, 'held', amount)
  local forget = wanted(line, ARGV[6])
  if not lives_until(line.lives, forget) then
    keep(line, forget)
  end
  hold.rows[i] = line.row
end
call('SET', KEYS[4], cjson.encode(hold))
call('ZADD', KEYS[3], string.format('%.0f', now + ARGV[6]), ARGV[3])
return tell_crossings(lines, {'granted'})
