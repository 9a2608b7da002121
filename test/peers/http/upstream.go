package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	smallBytes = 1024
	pieceBytes = 1024 * 1024
	// How often each watch has an event.
	eventInterval = time.Second
)

// The paths are those of the Kubernetes API, so that a policy has something to decide.
func upstream() http.Handler {
	small := bytes.Repeat([]byte("x"), smallBytes)
	piece := bytes.Repeat([]byte("x"), pieceBytes)
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/namespaces/default/configmaps/small", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(small)
	})
	mux.HandleFunc("/api/v1/namespaces/default/configmaps/bulk", func(w http.ResponseWriter, r *http.Request) {
		count, _ := strconv.Atoi(r.URL.Query().Get("mib"))
		for ; count > 0; count-- {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/api/v1/namespaces/default/pods", events)
	return mux
}

// Lines with the time at which each was sent, in nanoseconds: both ends are on one machine. The first
// comes at once, the second at a random time: watches that were opened together have their events at
// times of their own, as those of a cluster do.
func events(w http.ResponseWriter, r *http.Request) {
	flusher := w.(http.Flusher)
	timer := time.NewTimer(rand.N(eventInterval))
	defer timer.Stop()
	for {
		if _, err := fmt.Fprintf(w, "%d\n", time.Now().UnixNano()); err != nil {
			return
		}
		flusher.Flush()
		select {
		case <-timer.C:
			timer.Reset(eventInterval)
		case <-r.Context().Done():
			return
		}
	}
}
