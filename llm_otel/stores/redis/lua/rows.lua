-- Rows, holds and lines, for the scripts that move money.
--
-- A row is a hash: 'spent', 'held', 'forget' (when it may go, in seconds; '' for never), and '<limit>:<threshold>' for
-- each threshold that was told. An index holds the scopes of a (budget, start), by when they may go.

-- Until when the row of a line must live, in seconds; '' for ever. A row outlives the leases of what it holds, by as
-- long as it may take until somebody comes to expire them.
local function wanted(line, lease_ms)
  if line.forget == '' or not lease_ms then
    return line.forget
  end
  return string.format('%.0f', math.max(line.forget, math.ceil((now + lease_ms + HOLD_KEPT_MS) / 1000)))
end

local function lives_until(before, forget)
  return before == '' or (before and forget ~= '' and tonumber(before) >= tonumber(forget))
end

-- Let the row of a line, which exists, live as long as it must, and be found under its budget.
local function keep(line, forget)
  local row, index, scope = line.row, line.index, line.row:sub(line.scope_at)
  if lives_until(call('HGET', row, 'forget'), forget) then
    return
  end
  call('HSET', row, 'forget', forget)
  call('ZREMRANGEBYSCORE', index, '-inf', string.format('%.0f', math.floor(now / 1000)))
  if forget == '' then
    call('PERSIST', row)
    call('ZADD', index, '+inf', scope)
    call('PERSIST', index)
    return
  end
  -- A time to live and no date: keys go by the server's clock, whatever the ledger goes by.
  call('PEXPIRE', row, string.format('%.0f', math.max(forget * 1000 - now, 1)))
  call('ZADD', index, forget, scope)
  local latest = call('ZREVRANGE', index, 0, 0, 'WITHSCORES')[2]
  if latest ~= 'inf' then
    call('PEXPIRE', index, string.format('%.0f', math.max(latest * 1000 - now, 1)))
  end
end

-- Add to what is 'spent' or 'held' in a row. Beyond 64 bits it stays at the largest number.
local function add(row, field, amount)
  if type(redis.pcall('HINCRBY', row, field, amount)) == 'table' then
    call('HSET', row, field, '9223372036854775807')
  end
end

-- Take off what was added to a row. ('-0' is no number to Redis.)
local function take(row, field, amount)
  if amount ~= '0' then
    call('HINCRBY', row, field, '-' .. amount)
  end
end

-- Read a hold; nil where there is none, or its end is forgotten.
local function read_hold(key)
  local text = call('GET', key)
  return text and cjson.decode(text) or nil
end

-- What is held stays until it has an end, and its end for a while. (It has no time to live before: the money
-- would stay held for ever.)
local function write_end(key, hold)
  call('SET', key, cjson.encode(hold), 'PX', HOLD_KEPT_MS)
end

-- The rows of a hold. One that was forgotten meanwhile counts for nobody: there is nothing to correct.
local function standing_rows(hold)
  local rows = {}
  for _, row in ipairs(hold.rows) do
    if call('EXISTS', row) == 1 then
      rows[#rows + 1] = row
    end
  end
  return rows
end

-- Expire at most `limit` holds whose lease is over, the longest over first; return how many.
local function sweep(limit)
  local due = call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now), 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    local key = ARGV[2] .. id
    local hold = read_hold(key)
    call('ZREM', KEYS[3], id)
    if hold then
      for _, row in ipairs(standing_rows(hold)) do
        take(row, 'held', hold.amount)
        add(row, 'spent', hold.floor)
      end
      write_end(key, {state = 'expired', floor = hold.floor, rows = hold.rows})
    end
  end
  return #due
end

-- Read lines: what is told of each, as JSON, and their keys from KEYS[5] on: an index, and rows, its own the last.
local function read_lines(text)
  local lines, key = cjson.decode(text), 4
  for _, line in ipairs(lines) do
    line.index, line.rows = KEYS[key + 1], {}
    for i = 1, line.starts do
      line.rows[i] = KEYS[key + 1 + i]
    end
    key = key + 1 + line.starts
    line.row = KEYS[key]
  end
  return lines
end

local function total(amounts)
  local sum = 0
  for _, amount in ipairs(amounts) do
    sum = sum + tonumber(amount)
  end
  return sum
end

-- Write out a sum; one that a double does not count is left to the reader, as 'a+b+c'.
local function written(amounts)
  local sum = total(amounts)
  return sum < 2 ^ 53 and string.format('%.0f', sum) or table.concat(amounts, '+')
end

-- Read into a line what is spent and held in the rows that count for it, and until when its own row, the last, lives.
local function read_standing(line)
  line.spent, line.held = {}, {}
  for _, row in ipairs(line.rows) do
    local values = call('HMGET', row, 'spent', 'held', 'forget')
    line.spent[#line.spent + 1] = values[1] or nil
    line.held[#line.held + 1] = values[2] or nil
    line.lives = values[3]
  end
  line.total_spent = total(line.spent)
end

-- Whether a threshold was told in a row that counts for a line; the youngest are asked first.
local function was_told(line, mark)
  for i = #line.rows, 1, -1 do
    if call('HEXISTS', line.rows[i], mark) == 1 then
      return true
    end
  end
  return false
end

-- Append to the answer each threshold that spend has reached and nobody was told of: line, threshold, spend.
local function tell_crossings(lines, answer)
  for number, line in ipairs(lines) do
    for i, threshold in ipairs(line.thresholds) do
      local mark = line.limit .. ':' .. threshold
      if line.total_spent >= tonumber(threshold) and not was_told(line, mark) then
        call('HSET', line.row, mark, 1)
        keep(line, wanted(line))
        answer[#answer + 1] = number
        answer[#answer + 1] = i
        answer[#answer + 1] = written(line.spent)
      end
    end
  end
  return answer
end
