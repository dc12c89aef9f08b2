-- written by dp: lets the requests of an app wait while a hold is on, tells dp how many do, and answers challenges.
local limits, waiting = {}, {}

local function milliseconds()
  local now = core.now()
  return now.sec * 1000 + now.usec / 1000
end

-- Called only while the app is held. `default` is the limit, in ms, that stood in the configuration.
core.register_action("dp_hold", { "tcp-req", "http-req" }, function(txn, app, default)
  local began = milliseconds()
  waiting[app] = (waiting[app] or 0) + 1
  while (limits[app] or tonumber(default)) > 0 do
    if milliseconds() - began >= (limits[app] or tonumber(default)) then
      txn:set_var("txn.dp_late", 1)
      break
    end
    core.msleep(10)
  end
  waiting[app] = waiting[app] - 1
end, 2)

-- "dp hold APP MS" sets the limit, 0 lets go; "dp hold APP" answers how many requests wait.
core.register_cli({ "dp", "hold" }, "dp hold APP [MS]", function(applet, _, _, app, limit)
  if limit and limit ~= "" then limits[app] = tonumber(limit) end
  applet:send((waiting[app] or 0) .. "\n")
end)

-- The answer to a CA. An unknown token is not found, and never redirected: the CA would follow it elsewhere.
core.register_service("dp_challenge", "http", function(applet)
  local token = applet.path:match("^/%.well%-known/acme%-challenge/([%w_-]+)$")
  local file = token and #token <= 128 and io.open(applet:get_var("txn.dp_challenges") .. "/" .. token, "r")
  local text = file and file:read(1024) or ""
  if file then file:close() end
  applet:set_status(file and 200 or 404)
  applet:add_header("content-type", "text/plain")
  applet:add_header("cache-control", "no-store")
  applet:add_header("content-length", tostring(#text))
  applet:start_response()
  applet:send(text)
end)
