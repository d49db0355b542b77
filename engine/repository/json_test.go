package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// tokensSay is checkJSON by the standard library's tokens.
func tokensSay(b []byte, values, objects int) bool {
	if !json.Valid(b) {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var seen []map[string]bool // of each level; nil in a list
	key := false
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return true
		}
		if values--; err != nil || values < 0 {
			return false
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			if tok == json.Delim('{') && len(seen) > 0 && seen[len(seen)-1] == nil {
				if objects--; objects < 0 {
					return false
				}
			}
			if tok == json.Delim('{') {
				seen = append(seen, map[string]bool{})
			} else {
				seen = append(seen, nil)
			}
			if len(seen) > 64 {
				return false
			}
		case json.Delim('}'), json.Delim(']'):
			seen = seen[:len(seen)-1]
		default:
			if key {
				k, _ := tok.(string)
				if seen[len(seen)-1][k] {
					return false
				}
				seen[len(seen)-1][k] = true
				key = false
				continue
			}
		}
		key = len(seen) > 0 && seen[len(seen)-1] != nil
	}
}

var jsonParts = []string{
	`{`, `}`, `[`, `]`, `,`, `:`, `{"a":`, `,"a":`, `,"b":`, `"a"`, `"b"`, `"\u0061"`, `"\\"`, `"\""`, `"\\\""`, `"é"`, `"\u00e9"`, "\"\xff\"", "\"\xfe\"", `"{"`, `"]"`,
	`1`, `-2.5e3`, `true`, `null`, ` `, "\n", "\t", `[1,2]`, `{}`, `[{}]`, `{"a":1,"b":[{"a":"x"}]}`,
}

// checkJSON accepts what a decoder that goes through the tokens accepts.
func TestCheckJSON(t *testing.T) {
	compare := func(s string, values, objects int) bool {
		t.Helper()
		err := checkJSON([]byte(s), values, objects)
		if want := tokensSay([]byte(s), values, objects); (err == nil) != want {
			t.Fatalf("%q with %d and %d: %v, its tokens say %v", s, values, objects, err, want)
		}
		return err == nil
	}
	for s, good := range map[string]bool{
		`{"a":1,"b":2}`: true, `{"a":1,"a":2}`: false, `{"a":{"a":1}}`: true, `{"a":1,"\u0061":2}`: false, `["a","a"]`: true,
		`{"a\\":1,"a":2}`: true, `{"a\"":1,"a":"\\"}`: true, `{"a":"x","b":{"c":1,"c":2}}`: false, `[{"a":1},{"a":1}]`: true, `{"":1,"":2}`: false,
		"{\"\xff\":1,\"\xfe\":2}": false, `"a"`: true, ` 1 `: true, ``: false, `1 2`: false, `{"a":1`: false, `{"a" 1}`: false,
		strings.Repeat("[", 64) + strings.Repeat("]", 64): true, strings.Repeat("[", 65) + strings.Repeat("]", 65): false,
	} {
		if compare(s, 1000, 1000) != good {
			t.Errorf("%q: %v", s, !good)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		var s strings.Builder
		for range 1 + rng.IntN(8) {
			s.WriteString(jsonParts[rng.IntN(len(jsonParts))])
		}
		for _, whole := range []string{s.String(), `{"k":` + s.String() + `}`, `[` + s.String() + `]`} {
			compare(whole, rng.IntN(20), rng.IntN(4))
		}
	}
}
