-- Sends the requests of a file in turn and prints what wrk measured as one line of JSON.
-- The file holds each request as it goes over the wire, after its length in ten digits.

local requests = {}
local position = 0

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    while true do
        local length = file:read(10)
        if not length then
            break
        end
        requests[#requests + 1] = file:read(tonumber(length))
    end
    file:close()
end

function request()
    position = position % #requests + 1
    return requests[position]
end

function done(summary, latency, _)
    local failed = summary.errors
    io.write(string.format(
        '\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failures": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        failed.connect + failed.read + failed.write + failed.status + failed.timeout
    ))
end
