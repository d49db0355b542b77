package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// RejectDuplicateKeys refuses JSON with an object that has a key twice, or nested beyond reason: two readers could
// understand such a document differently.
func RejectDuplicateKeys(b []byte) error { return checkJSON(b, math.MaxInt, math.MaxInt) }

// checkJSON is RejectDuplicateKeys for what must not take up more memory than makes sense either: it refuses more tokens
// than values, and more objects in lists than objects. It goes over the bytes itself: a decoder's tokens take ten times as long.
func checkJSON(b []byte, values, objects int) error {
	if !json.Valid(b) {
		return json.Unmarshal(b, new(struct{})) // which says why
	}
	type level struct {
		object bool
		key    bool // the next string is a key
		seen   map[string]bool
	}
	stack := []level{{}}
	for i := 0; i < len(b); i++ {
		top := &stack[len(stack)-1]
		switch c := b[i]; c {
		case ' ', '\t', '\r', '\n', ':':
			continue
		case ',':
			top.key = top.object
			continue
		case '{', '[':
			if c == '{' && len(stack) > 1 && !top.object {
				if objects--; objects < 0 {
					return errors.New("too many objects")
				}
			}
			stack = append(stack, level{object: c == '{', key: c == '{'})
			if len(stack) > 65 {
				return errors.New("nested too deep")
			}
		case '}', ']':
			stack = stack[:len(stack)-1]
		case '"':
			end := i + stringLength(b[i:])
			if top.key {
				k, err := unquote(b[i:end])
				if err != nil {
					return err
				}
				if top.seen[k] {
					return fmt.Errorf("key %.60q stands twice", k)
				}
				if top.seen == nil {
					top.seen = map[string]bool{}
				}
				top.seen[k] = true
				top.key = false
			}
			i = end - 1
		default:
			for i+1 < len(b) && strings.IndexByte(" \t\r\n,]}", b[i+1]) < 0 {
				i++
			}
		}
		if values--; values < 0 {
			return errors.New("too many values")
		}
	}
	return nil
}

// stringLength returns how long the string of JSON is that b, which is valid, begins with.
func stringLength(b []byte) int {
	for n := 1; ; n++ {
		n += bytes.IndexByte(b[n:], '"')
		slashes := n
		for b[slashes-1] == '\\' {
			slashes--
		}
		if (n-slashes)%2 == 0 {
			return n + 1
		}
	}
}

// unquote returns what a string of JSON means.
func unquote(b []byte) (k string, err error) {
	for _, c := range b {
		if c == '\\' || c >= 0x80 {
			err = json.Unmarshal(b, &k)
			return k, err
		}
	}
	return string(b[1 : len(b)-1]), nil
}
