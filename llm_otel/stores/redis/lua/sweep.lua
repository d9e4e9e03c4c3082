-- Expire holds whose lease is over. ARGV[4] how many at most

return sweep(ARGV[4])
