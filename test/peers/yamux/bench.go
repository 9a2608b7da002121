package main

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// What is measured begins after this: connections, windows and compilers are warm then.
const warmUp = 300 * time.Millisecond

// bulk runs streams that send as much as they can until it is stopped.
type bulk struct {
	gateway *gateway
	streams []*yamux.Stream
	stopped atomic.Bool
	read    atomic.Int64
	ended   sync.WaitGroup
}

func (g *gateway) startBulk(down, up, writeBytes int) (*bulk, error) {
	running := &bulk{gateway: g}
	for index := range down + up {
		port := g.targets.Discard
		if index >= down {
			port = g.targets.Flood
		}
		stream, err := g.open(port, protocolTCP)
		if err != nil {
			return nil, err
		}
		running.streams = append(running.streams, stream)
		running.ended.Add(1)
		if index < down {
			go running.write(stream, writeBytes)
		} else {
			if _, err := stream.Write(binary.BigEndian.AppendUint64(nil, uint64(writeBytes))); err != nil {
				return nil, err
			}
			go running.receive(stream)
		}
	}
	return running, nil
}

func (b *bulk) write(stream *yamux.Stream, size int) {
	defer b.ended.Done()
	for !b.stopped.Load() {
		if _, err := stream.Write(pattern[:size]); err != nil {
			return
		}
	}
	_ = stream.Close()
	_, _ = io.Copy(io.Discard, stream)
}

func (b *bulk) receive(stream *yamux.Stream) {
	defer b.ended.Done()
	buffer := make([]byte, 256*1024)
	for !b.stopped.Load() {
		count, err := stream.Read(buffer)
		b.read.Add(int64(count))
		if err != nil {
			return
		}
	}
	_ = stream.Close()
	_, _ = io.Copy(io.Discard, stream)
}

func (b *bulk) moved() int64 { return b.read.Load() + b.gateway.targets.discarded.Load() }

func (b *bulk) stop() {
	b.stopped.Store(true)
	b.ended.Wait()
}

func seconds(of float64) time.Duration { return time.Duration(of * float64(time.Second)) }

// benchBulk also tells what was moved in all, with warm-up and end: what the agent needed its processor
// time for.
func (g *gateway) benchBulk(asked request) (answer, error) {
	movedBefore := g.targets.discarded.Load()
	running, err := g.startBulk(asked.Down, asked.Up, asked.WriteBytes)
	if err != nil {
		return nil, err
	}
	time.Sleep(warmUp)
	before, began := running.moved(), time.Now()
	time.Sleep(seconds(asked.Seconds))
	moved, took := running.moved()-before, time.Since(began)
	running.stop()
	return answer{
		"mb_per_second": float64(moved) / 1e6 / took.Seconds(),
		"megabytes":     float64(running.moved()-movedBefore) / 1e6,
	}, nil
}

// echoOnce sends `message` and reads it back.
func echoOnce(stream *yamux.Stream, message, into []byte) error {
	if _, err := stream.Write(message); err != nil {
		return err
	}
	_, err := io.ReadFull(stream, into)
	return err
}

// benchRequests also counts all requests, with those of the warm-up.
func (g *gateway) benchRequests(asked request) (answer, error) {
	var requests atomic.Int64
	times := make([][]time.Duration, asked.Streams)
	end := time.Now().Add(warmUp + seconds(asked.Seconds))
	began := time.Now().Add(warmUp)
	err := parallel(asked.Streams, func(index int) error {
		message, into := pattern[:asked.WriteBytes], make([]byte, asked.WriteBytes)
		var stream *yamux.Stream
		for time.Now().Before(end) {
			start := time.Now()
			if stream == nil {
				var err error
				if stream, err = g.open(g.targets.Echo, protocolTCP); err != nil {
					return err
				}
			}
			if err := echoOnce(stream, message, into); err != nil {
				return err
			}
			requests.Add(1)
			if asked.StreamEach {
				_ = stream.Close()
				stream = nil
			}
			if start.After(began) {
				times[index] = append(times[index], time.Since(start))
			}
		}
		if stream != nil {
			return stream.Close()
		}
		return nil
	})
	all := slices.Concat(times...)
	result := percentiles(all)
	result["per_second"] = float64(len(all)) / asked.Seconds
	result["requests"] = requests.Load()
	return result, err
}

// benchKeystrokes sends one byte at a time to and fro beside bulk streams.
func (g *gateway) benchKeystrokes(asked request) (answer, error) {
	running, err := g.startBulk(asked.Down, asked.Up, asked.WriteBytes)
	if err != nil {
		return nil, err
	}
	shell, err := g.open(g.targets.Echo, protocolTCP)
	if err != nil {
		return nil, err
	}
	time.Sleep(warmUp)
	var times []time.Duration
	before, began := running.moved(), time.Now()
	for time.Since(began) < seconds(asked.Seconds) {
		start := time.Now()
		if err := echoOnce(shell, []byte{'k'}, make([]byte, 1)); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
		time.Sleep(time.Millisecond)
	}
	result := percentiles(times)
	result["mb_per_second"] = float64(running.moved()-before) / 1e6 / time.Since(began).Seconds()
	running.stop()
	return result, shell.Close()
}

// benchBurst lets many streams of sources stand unread and then reads them all at once.
func (g *gateway) benchBurst(asked request) (answer, error) {
	streams := make([]*yamux.Stream, asked.Streams)
	for index := range streams {
		stream, err := g.openSource(asked.Bytes)
		if err != nil {
			return nil, err
		}
		streams[index] = stream
	}
	time.Sleep(seconds(asked.Seconds))
	began := time.Now()
	err := parallel(asked.Streams, func(index int) error {
		defer streams[index].Close()
		count, err := io.CopyBuffer(io.Discard, onlyReader{streams[index]}, make([]byte, 256*1024))
		if err == nil && count != asked.Bytes {
			err = errors.New("a stream ended too early")
		}
		return err
	})
	return answer{"seconds": time.Since(began).Seconds()}, err
}

func percentiles(times []time.Duration) answer {
	if len(times) == 0 {
		return answer{}
	}
	slices.Sort(times)
	at := func(part float64) float64 { return milliseconds(times[int(float64(len(times)-1)*part)]) }
	return answer{"p50_ms": at(0.5), "p99_ms": at(0.99), "count": len(times)}
}
