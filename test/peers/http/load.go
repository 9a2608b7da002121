package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sort"
	"strconv"
	"sync"
	"time"
)

const readBytes = 64 * 1024

type loadResult struct {
	Requests    int     `json:"requests"`
	Megabytes   float64 `json:"megabytes"`
	PerSecond   float64 `json:"per_second"`
	MBPerSecond float64 `json:"mb_per_second"`
	P50Ms       float64 `json:"p50_ms"`
	P99Ms       float64 `json:"p99_ms"`
	Failed      int     `json:"failed"`
}

type worker struct {
	latencies []time.Duration
	bytes     int64
	failed    int
}

// Each connection asks again as soon as it has its answer. Without the http package's own client: that
// costs more than what is measured, and shares the processors with it.
func load(to target, connections int, seconds float64) loadResult {
	workers := make([]worker, connections)
	began := time.Now()
	until := began.Add(time.Duration(seconds * float64(time.Second)))
	var group sync.WaitGroup
	for index := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			workers[index].run(to, until)
		}()
	}
	group.Wait()
	elapsed := time.Since(began).Seconds()
	var all []time.Duration
	result := loadResult{}
	for _, each := range workers {
		all = append(all, each.latencies...)
		result.Megabytes += float64(each.bytes) / 1e6
		result.Failed += each.failed
	}
	result.Requests = len(all)
	result.PerSecond = float64(result.Requests) / elapsed
	result.MBPerSecond = result.Megabytes / elapsed
	result.P50Ms, result.P99Ms = percentile(all, 0.5), percentile(all, 0.99)
	return result
}

func (w *worker) run(to target, until time.Time) {
	connection, err := to.dial()
	if err != nil {
		w.failed++
		return
	}
	defer func() { _ = connection.Close() }()
	answers := bufio.NewReaderSize(connection, readBytes)
	buffer := make([]byte, readBytes)
	for first := true; first || time.Now().Before(until); first = false {
		began := time.Now()
		count, err := ask(connection, answers, to.request, buffer)
		if err != nil {
			w.failed++
			return
		}
		w.bytes += count
		w.latencies = append(w.latencies, time.Since(began))
	}
}

// Returns the bytes of the body.
func ask(connection net.Conn, answers *bufio.Reader, request []byte, buffer []byte) (int64, error) {
	if _, err := connection.Write(request); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		return 0, err
	}
	count, err := io.CopyBuffer(discard{}, response.Body, buffer)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return count, err
}

// Unlike io.Discard it has no buffers of its own.
type discard struct{}

func (discard) Write(bytes []byte) (int, error) { return len(bytes), nil }

type watchResult struct {
	Watches int     `json:"watches"`
	Events  int     `json:"events"`
	P50Ms   float64 `json:"p50_ms"`
	P99Ms   float64 `json:"p99_ms"`
	Failed  int     `json:"failed"`
}

// Measures only once every watch is open: opening them is a load of its own.
func watch(client *http.Client, request *http.Request, count int, seconds float64) watchResult {
	var mutex sync.Mutex
	var latencies []time.Duration
	result := watchResult{Watches: count}
	measuring := false
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var opened, ended sync.WaitGroup
	opened.Add(count)
	ended.Add(count)
	for range count {
		go func() {
			defer ended.Done()
			response, err := client.Do(request.Clone(ctx))
			opened.Done()
			if err != nil || response.StatusCode != http.StatusOK {
				mutex.Lock()
				result.Failed++
				mutex.Unlock()
				return
			}
			defer func() { _ = response.Body.Close() }()
			for lines := bufio.NewScanner(response.Body); lines.Scan(); {
				sent, _ := strconv.ParseInt(lines.Text(), 10, 64)
				late := time.Duration(time.Now().UnixNano() - sent)
				mutex.Lock()
				if measuring {
					latencies = append(latencies, late)
				}
				mutex.Unlock()
			}
		}()
	}
	opened.Wait()
	time.Sleep(time.Second)
	mutex.Lock()
	measuring = true
	mutex.Unlock()
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	cancel()
	ended.Wait()
	result.Events = len(latencies)
	result.P50Ms, result.P99Ms = percentile(latencies, 0.5), percentile(latencies, 0.99)
	return result
}

func percentile(values []time.Duration, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sort.Slice(values, func(a, b int) bool { return values[a] < values[b] })
	return float64(values[int(share*float64(len(values)-1))].Microseconds()) / 1000
}
