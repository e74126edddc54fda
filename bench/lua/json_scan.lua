-- The same as `json_scan` in procs/bench: scans ARGV[1] objects, byte by byte. The reply is the sum of the numbers, and a
-- million for each string.
local byte = string.byte
local record = '{"id":1234,"name":"Ada \\"Countess\\" Lovelace","tags":["math","engine"],"born":1815}'
local text = string.rep(record .. ',', tonumber(ARGV[1]) - 1) .. record
local length = #text
local strings, sum, at = 0, 0, 1
while at <= length do
    local character = byte(text, at)
    if character == 34 then -- a quotation mark
        at = at + 1
        character = byte(text, at)
        while character ~= 34 do
            at = at + (character == 92 and 2 or 1) -- a backslash hides what follows it
            character = byte(text, at)
        end
        strings = strings + 1
    elseif character >= 48 and character <= 57 then
        local number = 0
        while character and character >= 48 and character <= 57 do
            number = number * 10 + character - 48
            at = at + 1
            character = byte(text, at)
        end
        sum = sum + number
        at = at - 1
    end
    at = at + 1
end
return strings * 1000000 + sum
