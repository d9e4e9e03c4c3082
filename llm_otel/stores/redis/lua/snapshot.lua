-- Read rows, a page at a time, so that no ledger is too large to be read; changes nothing.
--
-- KEYS[1]  the version of the layout     ARGV[1]  the time in ms, which tests set; '' for the server's own
-- KEYS[2...]  indexes: who has a row     ARGV[2]  how many rows and indexes to read at most
--                                        ARGV[3], ARGV[4]  where to go on: which index, how many of its scopes are read
--                                        ARGV[5...]  for each index, what stands before the scope in the key of a row
-- Answers where to go on, then index, scope, spent and held of each row; the index to go on with is 0 at the end.

local saved = redis.call('GET', KEYS[1])
if saved and tonumber(saved) > LAYOUT then
  return redis.error_reply('NEWERLAYOUT ' .. saved)
end

local now = ARGV[1] ~= '' and math.floor(ARGV[1] / 1000) or redis.call('TIME')[1]
local after = string.format('(%.0f', now)
local left, index, offset = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local answer = {0, 0}
while KEYS[index + 1] do
  if left <= 0 then
    answer[1], answer[2] = index, offset
    break
  end
  local scopes = redis.call('ZRANGEBYSCORE', KEYS[index + 1], after, '+inf', 'LIMIT', offset, left)
  for _, scope in ipairs(scopes) do
    local row = redis.call('HMGET', ARGV[index + 4] .. scope, 'spent', 'held', 'forget')
    if row[3] then
      answer[#answer + 1] = index
      answer[#answer + 1] = scope
      answer[#answer + 1] = row[1] or '0'
      answer[#answer + 1] = row[2] or '0'
    end
  end
  if #scopes == left then
    offset = offset + left
    left = 0
  else
    left = left - #scopes - 1
    index, offset = index + 1, 0
  end
end
return answer
