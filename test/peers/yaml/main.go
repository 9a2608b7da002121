// The oracle of the tests of manifests: Kubernetes' own reading of YAML and JSON.
// Lines on standard input: {"text": a stream of documents, "json": what was read of each document, or null}.
// Lines on standard output: {"objects": n, "error": why it is refused, "differs": the first difference}.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type question struct {
	Text string            `json:"text"`
	JSON []json.RawMessage `json:"json"`
}

type answer struct {
	Objects int    `json:"objects"`
	Error   string `json:"error,omitempty"`
	Differs string `json:"differs,omitempty"`
}

// As kubectl reads a file (k8s.io/cli-runtime, pkg/resource/visitor.go).
func read(text string) ([]any, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	objects := []any{}
	for {
		extension := runtime.RawExtension{}
		if err := decoder.Decode(&extension); err != nil {
			if errors.Is(err, io.EOF) {
				return objects, nil
			}
			return objects, err
		}
		raw := strings.TrimSpace(string(extension.Raw))
		if raw == "" || raw == "null" {
			continue
		}
		object, err := decode([]byte(raw))
		if err != nil {
			return objects, err
		}
		objects = append(objects, object)
	}
}

// Numbers as the API's decoder has them: int64 where they fit, else float64.
func decode(raw []byte) (any, error) {
	var object any
	err := utiljson.Unmarshal(raw, &object)
	return object, err
}

func compare(q question) answer {
	objects, err := read(q.Text)
	if err != nil {
		return answer{Objects: len(objects), Error: err.Error()}
	}
	result := answer{Objects: len(objects)}
	if q.JSON == nil {
		return result
	}
	if len(q.JSON) != len(objects) {
		result.Differs = fmt.Sprintf("%d objects were read, %d are there", len(q.JSON), len(objects))
		return result
	}
	for index, raw := range q.JSON {
		ours, err := decode(raw)
		if err != nil {
			result.Differs = err.Error()
			return result
		}
		// As both go over the wire: 1e10 is a float64 here and an int64 there, and the same text.
		left, _ := json.Marshal(ours)
		right, _ := json.Marshal(objects[index])
		if !bytes.Equal(left, right) {
			result.Differs = fmt.Sprintf("object %d is %.2000s", index, right)
			return result
		}
	}
	return result
}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if len(line) > 0 {
			var q question
			if err := json.Unmarshal(line, &q); err != nil {
				panic(err)
			}
			output.Encode(compare(q))
		}
		if err != nil {
			return
		}
	}
}
