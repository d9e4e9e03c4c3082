-- Read what stands in the rows that count for lines; changes nothing.
--
-- KEYS[1]  the version of the layout     ARGV  how many of the rows are each line's
-- KEYS[2...]  the rows, line by line
-- Answers spent and held of each line, as the reader is to add them up: 'a+b+c'.

local saved = redis.call('GET', KEYS[1])
if saved and tonumber(saved) > LAYOUT then
  return redis.error_reply('NEWERLAYOUT ' .. saved)
end

local answer, key = {}, 1
for _, count in ipairs(ARGV) do
  local spent, held = {'0'}, {'0'}
  for i = key + 1, key + count do
    local row = redis.call('HMGET', KEYS[i], 'spent', 'held')
    spent[#spent + 1] = row[1] or nil
    held[#held + 1] = row[2] or nil
  end
  key = key + count
  answer[#answer + 1] = table.concat(spent, '+')
  answer[#answer + 1] = table.concat(held, '+')
end
return answer
