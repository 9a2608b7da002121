package main

import (
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
)

const (
	dialTimeout     = 30 * time.Second
	copyBufferBytes = 64 * 1024
)

// runAgent is the peer of the benchmarks: what an agent in Go would be. It dials the named port on
// loopback.
func runAgent(url string) error {
	dialer := websocket.Dialer{
		ReadBufferSize:  webSocketBufferBytes,
		WriteBufferSize: webSocketBufferBytes,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	socket, _, err := dialer.Dial(url, nil)
	if err != nil {
		return err
	}
	carrier := &connection{socket: socket}
	if _, err := carrier.awaitEnvelope("gateway_hello"); err != nil {
		return err
	}
	if err := carrier.sendEnvelope("gateway_hello_ack", map[string]any{"use_yamux": true}); err != nil {
		return err
	}
	session, err := yamux.Client(carrier, sessionConfig())
	if err != nil {
		return err
	}
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return nil
		}
		go serveStream(stream)
	}
}

func serveStream(stream *yamux.Stream) {
	defer stream.Close()
	header, err := readTunnelHeader(stream)
	if err != nil {
		return
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(header.port)))
	network := "tcp"
	if header.protocol == protocolUDP {
		network = "udp"
	}
	target, err := net.DialTimeout(network, address, dialTimeout)
	if err != nil {
		return
	}
	defer target.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.CopyBuffer(onlyWriter{target}, stream, make([]byte, copyBufferBytes))
		if half, ok := target.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	}()
	_, _ = io.CopyBuffer(onlyWriter{stream}, onlyReader{target}, make([]byte, copyBufferBytes))
	_ = stream.Close()
	<-sent
}

// Without these, io.CopyBuffer would leave the buffer aside for a method of its own.
type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }
