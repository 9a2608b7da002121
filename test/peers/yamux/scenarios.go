package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// How long one step of a scenario may take before it counts as stuck.
const stepTimeout = 60 * time.Second

const streamsEndTimeout = 10 * time.Second

type answer = map[string]any

func (g *gateway) do(asked request) (answer, error) {
	if asked.Do != "connect" && g.agent == nil {
		return nil, errors.New("no agent: connect first")
	}
	switch asked.Do {
	case "connect":
		return g.connect(asked)
	case "disconnect":
		g.disconnect()
		return answer{}, nil
	case "drop":
		return g.drop(asked)
	case "streams":
		return answer{"streams": g.streamsLeft()}, nil
	case "ping":
		took, err := g.agent.session.Ping()
		return answer{"ms": milliseconds(took)}, err
	case "down":
		return g.together(asked, func() error { return g.down(asked) })
	case "up":
		return g.together(asked, func() error { return g.up(asked) })
	case "echo":
		return g.together(asked, func() error { return g.echo(asked) })
	case "hold":
		return g.hold(asked)
	case "end":
		return g.end(asked)
	case "stalled_target":
		return g.stalledTarget(asked)
	case "stalled_reader":
		return g.stalledReader(asked)
	case "go_away":
		return g.goAway(asked)
	case "datagrams":
		return g.datagrams(asked)
	case "bench_bulk":
		return g.benchBulk(asked)
	case "bench_requests":
		return g.benchRequests(asked)
	case "bench_keystrokes":
		return g.benchKeystrokes(asked)
	case "bench_burst":
		return g.benchBurst(asked)
	}
	return nil, fmt.Errorf("unknown scenario %q", asked.Do)
}

// streamsLeft waits until none is: the last frames of an agent may be on their way.
func (g *gateway) streamsLeft() int {
	end := time.Now().Add(streamsEndTimeout)
	for g.agent.session.NumStreams() > 0 && time.Now().Before(end) {
		time.Sleep(time.Millisecond)
	}
	return g.agent.session.NumStreams()
}

// together runs `one` on as many streams at once as were asked for.
func (g *gateway) together(asked request, one func() error) (answer, error) {
	began := time.Now()
	err := parallel(asked.Streams, func(int) error { return one() })
	return answer{"seconds": time.Since(began).Seconds()}, err
}

func parallel(count int, one func(index int) error) error {
	failures := make([]error, count)
	var all sync.WaitGroup
	for index := range count {
		all.Add(1)
		go func() {
			defer all.Done()
			failures[index] = one(index)
		}()
	}
	all.Wait()
	return errors.Join(failures...)
}

// drop cuts the connection under streams that carry bytes.
func (g *gateway) drop(asked request) (answer, error) {
	err := parallel(asked.Streams, func(int) error {
		stream, err := g.open(g.targets.Echo, protocolTCP)
		if err != nil {
			return err
		}
		return echoOnce(stream, []byte{1}, make([]byte, 1))
	})
	_ = g.agent.carrier.socket.UnderlyingConn().Close()
	return answer{}, err
}

// down sends to the sink, which tells the hash after our half is closed.
func (g *gateway) down(asked request) error {
	stream, err := g.open(g.targets.Sink, protocolTCP)
	if err != nil {
		return err
	}
	if _, err := writePattern(stream, asked.Bytes, asked.WriteBytes); err != nil {
		return err
	}
	return expectHash(stream, asked.Bytes)
}

func expectHash(stream *yamux.Stream, bytes int64) error {
	if err := stream.Close(); err != nil {
		return err
	}
	_ = stream.SetReadDeadline(time.Now().Add(stepTimeout))
	got, err := io.ReadAll(stream)
	if err != nil {
		return err
	}
	if wanted := patternHash(bytes); string(got) != wanted {
		return fmt.Errorf("hash %q, want %q", got, wanted)
	}
	return nil
}

// up asks the source, which closes after the last byte.
func (g *gateway) up(asked request) error {
	stream, err := g.openSource(asked.Bytes)
	if err != nil {
		return err
	}
	defer stream.Close()
	return readPattern(stream, asked.Bytes)
}

func (g *gateway) openSource(bytes int64) (*yamux.Stream, error) {
	stream, err := g.open(g.targets.Source, protocolTCP)
	if err != nil {
		return nil, err
	}
	_, err = stream.Write(binary.BigEndian.AppendUint64(nil, uint64(bytes)))
	return stream, err
}

func readPattern(stream *yamux.Stream, bytes int64) error {
	hash := sha256.New()
	_ = stream.SetReadDeadline(time.Now().Add(stepTimeout))
	if _, err := io.CopyBuffer(hash, onlyReader{stream}, make([]byte, 256*1024)); err != nil {
		return err
	}
	if got, wanted := hex.EncodeToString(hash.Sum(nil)), patternHash(bytes); got != wanted {
		return fmt.Errorf("hash %q, want %q", got, wanted)
	}
	return nil
}

// echo writes and reads at once, closes its half and still gets the rest.
func (g *gateway) echo(asked request) error {
	stream, err := g.open(g.targets.Echo, protocolTCP)
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() {
		_, err := writePattern(stream, asked.Bytes, asked.WriteBytes)
		written <- errors.Join(err, stream.Close())
	}()
	return errors.Join(readPattern(stream, asked.Bytes), <-written)
}

// hold opens all streams, proves that each carries a byte, and only then ends them. It counts those
// that the agent refused.
func (g *gateway) hold(asked request) (answer, error) {
	streams := make([]*yamux.Stream, asked.Streams)
	var refused int
	var counting sync.Mutex
	err := parallel(asked.Streams, func(index int) error {
		stream, err := g.open(g.targets.Echo, protocolTCP)
		if err == nil {
			_ = stream.SetDeadline(time.Now().Add(stepTimeout))
			_, err = stream.Write([]byte{1})
		}
		if err == nil {
			_, err = io.ReadFull(stream, make([]byte, 1))
		}
		if errors.Is(err, yamux.ErrConnectionReset) {
			counting.Lock()
			refused++
			counting.Unlock()
			return nil
		}
		streams[index] = stream
		return err
	})
	held := g.agent.session.NumStreams()
	for _, stream := range streams {
		if stream != nil {
			_ = stream.Close()
		}
	}
	return answer{"held": held, "refused": refused}, err
}

// end writes one byte to a port and tells how the stream ends.
func (g *gateway) end(asked request) (answer, error) {
	stream, err := g.open(asked.Port, protocolTCP)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	_ = stream.SetDeadline(time.Now().Add(stepTimeout))
	_, _ = stream.Write([]byte{1})
	count, err := io.ReadFull(stream, make([]byte, 1))
	text := "data"
	if err != nil {
		text = err.Error()
	}
	return answer{"bytes": count, "end": text}, nil
}

// stalledTarget writes until the window stops it, lets the target read, and checks the hash.
func (g *gateway) stalledTarget(asked request) (answer, error) {
	var total int64
	var counting sync.Mutex
	stopped := make(chan struct{})
	var blocked sync.WaitGroup
	blocked.Add(asked.Streams)
	go func() {
		blocked.Wait()
		close(stopped)
	}()
	result := make(chan error, 1)
	go func() {
		result <- parallel(asked.Streams, func(int) error {
			stream, err := g.open(g.targets.Stall, protocolTCP)
			if err != nil {
				blocked.Done()
				return err
			}
			_ = stream.SetWriteDeadline(time.Now().Add(time.Duration(asked.Seconds * float64(time.Second))))
			sent, err := writePattern(stream, asked.Bytes, 32*1024)
			counting.Lock()
			total += sent
			counting.Unlock()
			blocked.Done()
			if err != nil && !errors.Is(err, yamux.ErrTimeout) {
				return err
			}
			<-g.targets.resume
			_ = stream.SetWriteDeadline(time.Time{})
			return expectHash(stream, sent)
		})
	}()
	<-stopped
	close(g.targets.resume)
	err := <-result
	g.targets.resume = make(chan struct{})
	return answer{"bytes": total}, err
}

// stalledReader leaves the answers of sources unread for a time, and another stream is served.
func (g *gateway) stalledReader(asked request) (answer, error) {
	streams := make([]*yamux.Stream, asked.Streams)
	for index := range streams {
		stream, err := g.openSource(asked.Bytes)
		if err != nil {
			return nil, err
		}
		streams[index] = stream
	}
	time.Sleep(time.Duration(asked.Seconds * float64(time.Second)))
	beside := g.echo(request{Bytes: 1 << 20, WriteBytes: 4096})
	err := parallel(asked.Streams, func(index int) error {
		defer streams[index].Close()
		return readPattern(streams[index], asked.Bytes)
	})
	return answer{}, errors.Join(beside, err)
}

// goAway announces that no more streams are taken, and goes on with an open one.
func (g *gateway) goAway(asked request) (answer, error) {
	stream, err := g.open(g.targets.Echo, protocolTCP)
	if err != nil {
		return nil, err
	}
	if err := g.agent.session.GoAway(); err != nil {
		return nil, err
	}
	if _, err := stream.Write([]byte("after")); err != nil {
		return nil, err
	}
	_ = stream.Close()
	_ = stream.SetReadDeadline(time.Now().Add(stepTimeout))
	got, err := io.ReadAll(stream)
	return answer{"got": string(got)}, err
}

// datagrams sends one of each size in turn and reads it back, with or without framing.
func (g *gateway) datagrams(asked request) (answer, error) {
	stream, err := g.open(g.targets.UDPEcho, protocolUDP)
	if err != nil {
		return nil, err
	}
	_ = stream.SetDeadline(time.Now().Add(stepTimeout))
	sizes := []int{1, 512, 1400, 9000, 60000}
	for _, size := range sizes {
		datagram := pattern[:size]
		frame := datagram
		if asked.UDPFraming {
			frame = append(binary.BigEndian.AppendUint16(nil, uint16(size)), datagram...)
		}
		if _, err := stream.Write(frame); err != nil {
			return nil, err
		}
		back := make([]byte, len(frame))
		if _, err := io.ReadFull(stream, back); err != nil {
			return nil, err
		}
		if !bytes.Equal(back, frame) {
			return nil, fmt.Errorf("a datagram of %d bytes came back changed", size)
		}
	}
	return answer{"datagrams": len(sizes)}, stream.Close()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
