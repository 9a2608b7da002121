package main

import (
	"encoding/binary"
	"errors"
	"io"
)

// tunnelHeader is what the gateway writes first into each stream.
type tunnelHeader struct {
	protocol byte
	port     uint16
	service  string
	// namespace of the Kubernetes Service
	namespace string
	tunnelID  string
}

const (
	headerVersion = 1
	protocolTCP   = 1
	protocolUDP   = 2
)

func (h tunnelHeader) encode() []byte {
	out := []byte{headerVersion, h.protocol}
	out = binary.BigEndian.AppendUint16(out, h.port)
	for _, text := range []string{h.service, h.namespace, h.tunnelID} {
		out = binary.BigEndian.AppendUint16(out, uint16(len(text)))
		out = append(out, text...)
	}
	return out
}

func readTunnelHeader(from io.Reader) (tunnelHeader, error) {
	var fixed [4]byte
	if _, err := io.ReadFull(from, fixed[:]); err != nil {
		return tunnelHeader{}, err
	}
	if fixed[0] != headerVersion {
		return tunnelHeader{}, errors.New("unknown version of the tunnel header")
	}
	header := tunnelHeader{protocol: fixed[1], port: binary.BigEndian.Uint16(fixed[2:])}
	for _, field := range []*string{&header.service, &header.namespace, &header.tunnelID} {
		var size [2]byte
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return tunnelHeader{}, err
		}
		text := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(from, text); err != nil {
			return tunnelHeader{}, err
		}
		*field = string(text)
	}
	return header, nil
}
