package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"sync/atomic"
)

// targets are the services behind the agent, on ports of loopback.
type targets struct {
	Echo int `json:"echo"`
	// Sink reads to the end and answers with the SHA-256 of what it read, in hex.
	Sink int `json:"sink"`
	// Source reads 8 bytes, a count, and sends that many bytes of the pattern.
	Source int `json:"source"`
	// Discard reads to the end.
	Discard int `json:"discard"`
	// Flood reads 8 bytes, a size, and writes pieces of that size until its client ends its half.
	Flood int `json:"flood"`
	// Stall accepts and reads nothing until the gateway lets it go on.
	Stall int `json:"stall"`
	// Close accepts and closes at once; Reset does so with a RST.
	Close   int `json:"close"`
	Reset   int `json:"reset"`
	UDPEcho int `json:"udp_echo"`
	// Refused is a port where nobody listens.
	Refused int `json:"refused"`

	resume    chan struct{}
	discarded atomic.Int64
}

const patternBytes = 1 << 20

// pattern is what sources send: no two blocks of it are alike, so that a lost or repeated block
// changes the hash.
var pattern = makePattern()

func makePattern() []byte {
	out := make([]byte, patternBytes)
	state := uint32(1)
	for at := range out {
		state = state*1664525 + 1013904223
		out[at] = byte(state >> 24)
	}
	return out
}

func startTargets() (*targets, error) {
	all := &targets{resume: make(chan struct{})}
	var failure error
	listen := func(serve func(*net.TCPConn)) int {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			failure = err
			return 0
		}
		go func() {
			for {
				accepted, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer accepted.Close()
					serve(accepted.(*net.TCPConn))
				}()
			}
		}()
		return listener.Addr().(*net.TCPAddr).Port
	}
	all.Echo = listen(func(client *net.TCPConn) { _, _ = io.Copy(onlyWriter{client}, onlyReader{client}) })
	all.Sink = listen(serveSink)
	all.Source = listen(serveSource)
	all.Discard = listen(func(client *net.TCPConn) { all.discard(client) })
	all.Flood = listen(serveFlood)
	all.Stall = listen(func(client *net.TCPConn) {
		<-all.resume
		serveSink(client)
	})
	all.Close = listen(func(*net.TCPConn) {})
	all.Reset = listen(func(client *net.TCPConn) {
		_, _ = io.ReadFull(client, make([]byte, 1))
		_ = client.SetLinger(0)
	})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	all.Refused = closed.Addr().(*net.TCPAddr).Port
	_ = closed.Close()
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	all.UDPEcho = datagrams.LocalAddr().(*net.UDPAddr).Port
	go serveDatagrams(datagrams)
	return all, failure
}

func serveSink(client *net.TCPConn) {
	hash := sha256.New()
	_, _ = io.CopyBuffer(hash, onlyReader{client}, make([]byte, 256*1024))
	_, _ = io.WriteString(client, hex.EncodeToString(hash.Sum(nil)))
}

func serveSource(client *net.TCPConn) {
	var wanted [8]byte
	if _, err := io.ReadFull(client, wanted[:]); err != nil {
		return
	}
	_, _ = writePattern(client, int64(binary.BigEndian.Uint64(wanted[:])), 32*1024)
}

func (t *targets) discard(client *net.TCPConn) {
	buffer := make([]byte, 256*1024)
	for {
		count, err := client.Read(buffer)
		t.discarded.Add(int64(count))
		if err != nil {
			return
		}
	}
}

func serveFlood(client *net.TCPConn) {
	var size [8]byte
	if _, err := io.ReadFull(client, size[:]); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, client)
		_ = client.Close()
	}()
	_, _ = writePattern(client, 1<<62, int(binary.BigEndian.Uint64(size[:])))
}

// writePattern writes `bytes` of the pattern in pieces of `size`.
func writePattern(to io.Writer, bytes int64, size int) (int64, error) {
	var sent int64
	for sent < bytes {
		from := int(sent % patternBytes)
		piece := min(int64(size), bytes-sent, int64(patternBytes-from))
		count, err := to.Write(pattern[from : from+int(piece)])
		sent += int64(count)
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

func patternHash(bytes int64) string {
	hash := sha256.New()
	_, _ = writePattern(hash, bytes, patternBytes)
	return hex.EncodeToString(hash.Sum(nil))
}

func serveDatagrams(socket net.PacketConn) {
	buffer := make([]byte, 65536)
	for {
		count, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		_, _ = socket.WriteTo(buffer[:count], from)
	}
}
