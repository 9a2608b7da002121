module pipeops-agent/test/peers/yamux

go 1.24

require (
	github.com/gorilla/websocket v1.5.3
	github.com/hashicorp/yamux v0.1.2
)
