-- Requests at the moments of a schedule, whether or not earlier ones are answered: an open loop.
--
--     wrk -t1 -c CONNECTIONS -d TIME -s open_loop.lua URL -- REQUESTS FIRST RATE OUT
--
-- REQUESTS has a line `path<TAB>body` for each request, which are sent in turn, from the line after
-- FIRST others on; the moments are random (exponential) with a mean of RATE a second, or with RATE 0
-- as soon as a connection is free.
-- To OUT goes a line for each answer: the moment it was due, in seconds from the start, milliseconds
-- from then to its end, and the status. To be late in sending counts as waiting, and is told so. One
-- thread only: its connections share the schedule.

local ffi = require("ffi")
ffi.cdef [[ typedef struct { long s; long us; } moment_t; int gettimeofday(moment_t *, void *); ]]
local moment = ffi.new("moment_t")

local function now()
  ffi.C.gettimeofday(moment, nil)
  return tonumber(moment.s) + tonumber(moment.us) / 1e6
end

local lines, due, sent = {}, {}, 0
local planned, head, tail = {}, 1, 0  -- moments given to connections that have not sent yet
local first, rate, out, began, last

local function start()
  if not began then
    began = now()
    last = began
  end
end

local function wait_ms()
  start()
  last = last - math.log(1 - math.random()) / rate
  tail = tail + 1
  planned[tail] = last
  return math.max(0, math.floor((last - now()) * 1000))
end

function init(args)
  for line in io.lines(args[1]) do lines[#lines + 1] = line end
  first = tonumber(args[2])
  rate = tonumber(args[3])
  out = io.open(args[4], "w")
  out:setvbuf("line")
  math.randomseed(7)
  if rate ~= 0 then delay = wait_ms end
end

function request()
  start()
  sent = sent + 1  -- the first is a trial of wrk's, and never sent
  if head <= tail then
    due[sent] = planned[head]
    planned[head] = nil
    head = head + 1
  else
    due[sent] = now()
  end
  local path, body = lines[(first + sent - 1) % #lines + 1]:match("^(.-)\t(.*)$")
  local headers = { ["Content-Type"] = "application/json", ["X-Request-Id"] = "load-" .. sent }
  return wrk.format("POST", path, headers, body)
end

function response(status, headers, body)
  local number = tonumber((headers["x-request-id"] or ""):match("^load%-(%d+)$"))
  local at = due[number]
  due[number] = nil
  out:write(string.format("%.4f %.3f %d\n", at - began, (now() - at) * 1e3, status))
end
