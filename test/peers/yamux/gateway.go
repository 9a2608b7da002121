package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
)

// request is one line of standard input; each scenario reads the fields that it names.
type request struct {
	Do         string  `json:"do"`
	Port       int     `json:"port"`
	Streams    int     `json:"streams"`
	Bytes      int64   `json:"bytes"`
	WriteBytes int     `json:"write_bytes"`
	Seconds    float64 `json:"seconds"`
	Down       int     `json:"down"`
	Up         int     `json:"up"`
	StreamEach bool    `json:"stream_each"`
	UDPFraming bool    `json:"udp_framing"`
}

// gateway has one agent at a time: the last one that connected.
type gateway struct {
	targets *targets
	agents  chan *agentLink
	agent   *agentLink
}

// agentLink is an agent whose connection is open, with its session.
type agentLink struct {
	carrier *connection
	session *yamux.Session
	// closed ends the handler of the HTTP server, and with it the connection.
	closed chan struct{}
}

func runGateway(certificate, key string) error {
	services, err := startTargets()
	if err != nil {
		return err
	}
	all := &gateway{targets: services, agents: make(chan *agentLink, 16)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	scheme := "ws"
	server := &http.Server{Handler: http.HandlerFunc(all.accept)}
	if certificate == "" {
		go func() { _ = server.Serve(listener) }()
	} else {
		scheme = "wss"
		go func() { _ = server.ServeTLS(listener, certificate, key) }()
	}
	print := json.NewEncoder(os.Stdout)
	address := fmt.Sprintf("%s://%s/ws", scheme, listener.Addr())
	if err := print.Encode(map[string]any{"url": address, "targets": services}); err != nil {
		return err
	}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			return err
		}
		answer, err := all.do(asked)
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		if err := print.Encode(answer); err != nil {
			return err
		}
	}
}

func (g *gateway) accept(answer http.ResponseWriter, asked *http.Request) {
	upgrader := websocket.Upgrader{
		ReadBufferSize:  webSocketBufferBytes,
		WriteBufferSize: webSocketBufferBytes,
	}
	socket, err := upgrader.Upgrade(answer, asked, nil)
	if err != nil {
		return
	}
	link := &agentLink{carrier: &connection{socket: socket}, closed: make(chan struct{})}
	g.agents <- link
	<-link.closed
}

// connect waits for the next agent and opens a session with it.
func (g *gateway) connect(asked request) (map[string]any, error) {
	if g.agent != nil {
		g.disconnect()
	}
	select {
	case g.agent = <-g.agents:
	case <-time.After(handshakeTimeout):
		return nil, fmt.Errorf("no agent connected")
	}
	hello := map[string]any{"use_yamux": true}
	if asked.UDPFraming {
		hello["udp_framing"] = true
	}
	if err := g.agent.carrier.sendEnvelope("gateway_hello", hello); err != nil {
		return nil, err
	}
	ack, err := g.agent.carrier.awaitEnvelope("gateway_hello_ack")
	if err != nil {
		return nil, err
	}
	g.agent.session, err = yamux.Server(g.agent.carrier, sessionConfig())
	return map[string]any{"ack": ack.Payload}, err
}

func (g *gateway) disconnect() {
	if g.agent == nil {
		return
	}
	if g.agent.session != nil {
		_ = g.agent.session.Close()
	}
	_ = g.agent.carrier.Close()
	close(g.agent.closed)
	g.agent = nil
}

// open opens a stream to a port of the targets.
func (g *gateway) open(port int, protocol byte) (*yamux.Stream, error) {
	stream, err := g.agent.session.OpenStream()
	if err != nil {
		return nil, err
	}
	header := tunnelHeader{
		protocol:  protocol,
		port:      uint16(port),
		service:   "target",
		namespace: "test",
		tunnelID:  "tunnel-1",
	}
	_, err = stream.Write(header.encode())
	return stream, err
}
