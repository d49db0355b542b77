package repository

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func TestFilesRoundTrip(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var files []File
		for range rng.IntN(60) {
			f := randomFile(rng)
			f.Offset = rng.Int64N(1 << 50)
			files = append(files, f)
		}
		b, err := EncodeFiles(files, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := EncodeFiles(files, nil)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatal("the same list is encoded differently", err)
		}
		got, err := DecodeFiles(b)
		if err != nil || !reflect.DeepEqual(got, files) {
			t.Fatalf("seed %d: %v: %+v\nwant %+v", seed, err, got, files)
		}
	}
}

func TestFilesRefuses(t *testing.T) {
	x := newExample(t)
	lines := string(fileLines(t, x.files))
	for what, edit := range map[string][2]string{
		"no JSON":             {"{", "["},
		"blank line":          {"\n", "\n\n"},
		"cut off":             {"}\n", "\n"},
		"component":           {`"maia_code"`, `"maia code"`},
		"no component":        {`"component":"maia_code",`, ``},
		"path":                {`"CLAUDE.md"`, `"/CLAUDE.md"`},
		"path up":             {`"CLAUDE.md"`, `"../CLAUDE.md"`},
		"path up in base64":   {`"CLAUDE.md"`, `"base64:Li4v/w=="`},
		"no path":             {`"path":"CLAUDE.md",`, ``},
		"no base64":           {`"CLAUDE.md"`, `"base64:*"`},
		"type":                {`"type":"file"`, `"type":"fifo"`},
		"no type":             {`"type":"file",`, ``},
		"size":                {`"size":7`, `"size":-7`},
		"size as text":        {`"size":7`, `"size":"7"`},
		"size beyond":         {`"size":7`, `"size":9223372036854775808`},
		"mode":                {`"mode":420`, `"mode":33188`},
		"negative mode":       {`"mode":420`, `"mode":-1`},
		"offset":              {`"offset":512`, `"offset":-1`},
		"no hash":             {`"sha256":"eba2f39000e9c1d8810d3a68003a9d4ab3abdb383a39b58fe63bd18bb19315e1",`, ``},
		"hash of a folder":    {`"type":"file"`, `"type":"dir"`},
		"link with content":   {`"offset":512`, `"offset":512,"link":"x"`},
		"link without target": {`,"link":"../CLAUDE.md"`, ``},
	} {
		b := strings.Replace(lines, edit[0], edit[1], 1)
		if b == lines {
			t.Errorf("%s: the edit changes nothing", what)
		}
		if files, err := DecodeFiles(storedGzip([]byte(b))); !errors.Is(err, ErrDamaged) || files != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	whole := storedGzip([]byte(lines))
	for n := range whole {
		if _, err := DecodeFiles(whole[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	long := append([]byte(`{"x":"`), bytes.Repeat([]byte("x"), 2<<20)...)
	if _, err := DecodeFiles(gzipOf(t, append(long, `"}`...))); !errors.Is(err, ErrDamaged) {
		t.Errorf("a line of 2 MB: %v", err)
	}
}

func gzipOf(t testing.TB, p []byte) []byte {
	t.Helper()
	b, err := compressSmall(nil, func(w io.Writer) error {
		_, err := w.Write(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
