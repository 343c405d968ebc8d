-- Each request is for another client: wrk -s benchmarks/wrk.lua URL
local client = 5000000

request = function()
  client = client + 1
  local body = '{"client_user_id":' .. client .. '1,"balance":1.5,"currency":"USD"}'
  return wrk.format("PUT", nil, {["Authorization"] = "Basic YmVuY2g6YmVuY2g=", ["Content-Type"] = "application/json"}, body)
end
