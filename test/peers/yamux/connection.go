package main

import (
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
)

// Both peers use buffers that hold a whole yamux frame of 32 KiB; with gorilla's default a message
// would be cut into fragments of 4 KiB.
const webSocketBufferBytes = 64 * 1024

const handshakeTimeout = 10 * time.Second

// connection carries a byte stream over the binary messages of a WebSocket.
type connection struct {
	socket  *websocket.Conn
	message io.Reader
	writing sync.Mutex
}

func (c *connection) Read(into []byte) (int, error) {
	for {
		if c.message == nil {
			kind, message, err := c.socket.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				continue
			}
			c.message = message
		}
		count, err := c.message.Read(into)
		if errors.Is(err, io.EOF) {
			c.message, err = nil, nil
			if count == 0 {
				continue
			}
		}
		return count, err
	}
}

// Write sends one message for each write of yamux: header and body apart.
func (c *connection) Write(data []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.socket.WriteMessage(websocket.BinaryMessage, data); err != nil {
		return 0, err
	}
	return len(data), nil
}

func (c *connection) Close() error { return c.socket.Close() }

type envelope struct {
	Type      string         `json:"type"`
	Payload   map[string]any `json:"payload,omitempty"`
	Timestamp string         `json:"timestamp"`
}

func (c *connection) sendEnvelope(kind string, payload map[string]any) error {
	text, err := json.Marshal(envelope{kind, payload, time.Now().UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return err
	}
	return c.socket.WriteMessage(websocket.TextMessage, text)
}

// awaitEnvelope skips every other message.
func (c *connection) awaitEnvelope(kind string) (envelope, error) {
	_ = c.socket.SetReadDeadline(time.Now().Add(handshakeTimeout))
	defer func() { _ = c.socket.SetReadDeadline(time.Time{}) }()
	for {
		messageKind, data, err := c.socket.ReadMessage()
		if err != nil {
			return envelope{}, err
		}
		var received envelope
		if messageKind == websocket.TextMessage && json.Unmarshal(data, &received) == nil &&
			received.Type == kind {
			return received, nil
		}
	}
}

// sessionConfig is that of the existing control plane.
func sessionConfig() *yamux.Config {
	config := yamux.DefaultConfig()
	config.ConnectionWriteTimeout = 30 * time.Second
	config.LogOutput = io.Discard
	return config
}
