module pipeops.io/agent/test/peers/http

go 1.24
