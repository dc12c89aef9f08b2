-- written by dp: lets the requests of an app wait while a hold is on, and tells dp how many do.
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
