-- Tell the time.

return string.format('%.0f', now)
