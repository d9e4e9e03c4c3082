-- Every script opens with this: it refuses a ledger whose layout is newer, and tells the time.
--
-- KEYS[1]  the version of the layout        ARGV[1]  the time in ms, which tests set; '' for the server's own
-- KEYS[2]  the last time that was gone by   ARGV[2]  what stands before the id in the key of a hold
-- KEYS[3]  ids of what is held, by the end of their leases
-- KEYS[4]  the hold in hand                 ARGV[3]  its id
--
-- Amounts are whole numbers written out, and stay text: a Lua number is a double, exact below 2^53 only, and written
-- in short beyond 1e14. HINCRBY counts in 64 bits. What is compared becomes a number: amounts are never negative, so
-- a sum that is below 2^53 is exact, and one that is not is above every limit allowed, however it was rounded.

local call = redis.call

local saved = call('MGET', KEYS[1], KEYS[2])
if saved[1] and tonumber(saved[1]) > LAYOUT then
  return redis.error_reply('NEWERLAYOUT ' .. saved[1])
end
if not saved[1] then
  call('SET', KEYS[1], LAYOUT)
end

local now
if ARGV[1] ~= '' then
  now = tonumber(ARGV[1])
else
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local last = tonumber(saved[2] or 0)
if last > now and last - now <= MAX_STEP_BACK_MS then
  now = last
elseif last ~= now then
  call('SET', KEYS[2], string.format('%.0f', now))
end
