-- One worker's step, whole or not at all.
-- KEYS fence, panes, outbox, prefix of the rows
-- ARGV run_id, expected fence ('' where nothing is stored), expected nonce, fence, nonce, incarnation,
--      metadata, numbers of writes, deletes, outbox entries, groups of rows; then those one after another
local fence, panes, outbox, rows = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local call, sub = redis.call, string.sub
local expected, nonce = ARGV[2], ARGV[5]
local chunk = 2000

if string.match(call('INFO', 'server'), 'run_id:(%x+)') ~= ARGV[1] then
    return 'restarted'
end
local stored = call('HMGET', fence, 'fence', 'nonce', 'sequence', 'torn')
if stored[1] == ARGV[4] and stored[2] == nonce then
    return 'mine'
end
if expected == '' then
    if stored[1] then
        return 'lost'
    end
    call('DEL', fence, panes, outbox)
elseif stored[1] ~= expected or stored[2] ~= ARGV[3] then
    return 'lost'
elseif stored[4] and stored[4] ~= nonce then
    return 'lost'
end

-- A script that fails keeps what it wrote. Until the fence has moved, what is stored says so of itself.
call('HSET', fence, 'torn', nonce)

local place = 12
local function each(count, width, command, key)
    local last = place + count * width - 1
    while place <= last do
        local stop = math.min(place + chunk - 1, last)
        call(command, key, unpack(ARGV, place, stop))
        place = stop + 1
    end
end

local written = tonumber(ARGV[8])
local deleted = tonumber(ARGV[9])
each(deleted, 1, 'HDEL', panes)
each(written, 2, 'HSET', panes)

-- What is published keeps its order: by step, and within a step as given.
local sequence = (tonumber(stored[3]) or 0) + 1
for index = 1, tonumber(ARGV[10]) do
    call('HSET', outbox, ARGV[place], struct.pack('>I4I4', sequence, index) .. ARGV[place + 1])
    place = place + 2
end

local groups = tonumber(ARGV[11])
local ids, buckets = ARGV[place], ARGV[place + 1]
local i, many = 1, #ids / 16
while i <= many do
    -- Rows of one bucket come one after another.
    local bucket, fields = sub(buckets, 4 * i - 3, 4 * i), {}
    repeat
        fields[#fields + 1] = sub(ids, 16 * i - 15, 16 * i)
        i = i + 1
    until i > many or #fields == chunk or sub(buckets, 4 * i - 3, 4 * i) ~= bucket
    call('HDEL', rows .. bucket, unpack(fields))
end
place = place + 2
for _ = 1, groups do
    local width, values = tonumber(ARGV[place]), ARGV[place + 3]
    ids, buckets = ARGV[place + 1], ARGV[place + 2]
    for i = 1, #ids / 16 do
        call('HSET', rows .. sub(buckets, 4 * i - 3, 4 * i), sub(ids, 16 * i - 15, 16 * i),
            sub(values, (i - 1) * width + 1, i * width))
    end
    place = place + 4
end

call('HSET', fence, 'fence', ARGV[4], 'nonce', nonce, 'incarnation', ARGV[6], 'metadata', ARGV[7],
    'sequence', sequence)
call('HDEL', fence, 'torn')
return 'applied'
