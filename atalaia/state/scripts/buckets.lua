-- KEYS prefix of the rows; ARGV buckets: all ids held in them, with their values
local prefix, buckets = KEYS[1], ARGV[1]
local ids, lengths, values = {}, {}, {}
local found = 0
for i = 1, #buckets / 4 do
    local bucket = redis.call('HGETALL', prefix .. string.sub(buckets, 4 * i - 3, 4 * i))
    for place = 1, #bucket, 2 do
        found = found + 1
        ids[found] = bucket[place]
        values[found] = bucket[place + 1]
        lengths[found] = struct.pack('<I2', #bucket[place + 1])
    end
end
return {table.concat(ids), table.concat(lengths), table.concat(values)}
