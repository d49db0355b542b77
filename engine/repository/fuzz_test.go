package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// seeds returns the inputs that a fuzz target begins with. TestSeeds holds that none is without good ones.
func seeds(t testing.TB) map[string][][]byte {
	t.Helper()
	x := newExample(t)
	index := smallIndex(t)
	list := func(s ...string) (out [][]byte) {
		for _, v := range s {
			out = append(out, []byte(v))
		}
		return out
	}
	var lines []string
	for _, name := range hostileNames {
		lines = append(lines, EncodeLine(name))
	}
	return map[string][][]byte{
		"manifest": {x.raw, []byte(`{"format": 2}`), []byte(`{"a":[{"a":1,"a":2}]}`)},
		"files":    {fileLines(t, x.files), []byte("\n")},
		"lines":    {x.lines(t), withVault(t).lines(t), withPrefix(t), []byte("maia-restore-index 1\nend 1\n"), []byte("maia-restore-index 1\npassword 0\nsecret 2 a b\nend 3\n")},
		"index":    {index[:len(index)-32], sealIndex(index)},
		"extents":  list("0 0 3072", "0 3072 8192,0 3072 4096", "1 2 3,4 5", "", ",", "0 0 0", "0 01 1", "9223372036854775807 1 1"),
		"name":     list(append(hostileNames, "base64:/w==", "base64:!")...),
		"line":     list(append(lines, `\0`, `\0141`, "")...),
	}
}

func addSeeds(f *testing.F, name string) {
	f.Helper()
	for _, s := range seeds(f)[name] {
		f.Add(s)
	}
}

// Each target has seeds, and among them both ones that decode and ones that do not.
func TestSeeds(t *testing.T) {
	decode := map[string]func(b []byte) error{
		"manifest": func(b []byte) error { _, err := DecodeManifest(b); return err },
		"files":    func(b []byte) error { _, err := DecodeFiles(gzipOf(t, b)); return err },
		"lines":    func(b []byte) error { _, err := DecodeRestoreIndex(gzipOf(t, b)); return err },
		"index":    func(b []byte) error { _, err := decodeBytes(sealIndex(b), testRepositoryID); return err },
		"extents":  func(b []byte) error { return new(Extents).UnmarshalText(b) },
		"name":     func(b []byte) error { return new(Name).UnmarshalText(b) },
		"line":     func(b []byte) error { _, err := DecodeLine(string(b)); return err },
	}
	all := seeds(t)
	if len(all) != len(decode) {
		t.Fatalf("%d kinds of seeds, %d decoders", len(all), len(decode))
	}
	for name, list := range all {
		good, bad := 0, 0
		for _, s := range list {
			if decode[name](s) == nil {
				good++
			} else {
				bad++
			}
		}
		if good == 0 || bad == 0 {
			t.Errorf("%s: %d good and %d bad seeds", name, good, bad)
		}
	}
}

// wantKnownError fails on an error that callers cannot tell apart.
func wantKnownError(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewerFormat) {
		t.Fatalf("neither damaged nor newer: %v", err)
	}
}

// What is decoded encodes to what decodes the same.
func FuzzDecodeManifest(f *testing.F) {
	addSeeds(f, "manifest")
	f.Fuzz(func(t *testing.T, b []byte) {
		wantSameManifest(t, b)
		m, err := DecodeManifest(b)
		if err != nil {
			wantKnownError(t, err)
			return
		}
		raw, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		n, err := DecodeManifest(raw)
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		again, err := n.Encode()
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("%v\n%s\nwant\n%s", err, again, raw)
		}
		for i, used := range n.ChunkUse() {
			if used < 0 || used > n.Chunks[i].RawBytes {
				t.Fatalf("%d bytes of chunk %d are used", used, i)
			}
		}
	})
}

// The lines are not compressed: gzip would take nearly all of the time, and keeps buffers from one call to the next, so
// that the same input reaches other branches and the fuzzer never ends making it shorter.
func FuzzDecodeFiles(f *testing.F) {
	addSeeds(f, "files")
	f.Fuzz(func(t *testing.T, lines []byte) {
		files, err := decodeFileLines(bytes.NewReader(lines), maxSmallFile)
		if err != nil {
			wantKnownError(t, err)
			return
		}
		var b bytes.Buffer
		if err := writeFileLines(&b, files); err != nil {
			t.Fatal(err)
		}
		again, err := decodeFileLines(&b, maxSmallFile)
		if err != nil || !reflect.DeepEqual(again, files) {
			t.Fatalf("%v: %+v\nwant %+v", err, again, files)
		}
		for i := range files {
			if p := "/" + string(files[i].Path) + "/"; strings.Contains(p, "/../") || strings.Contains(p, "//") {
				t.Fatalf("path %q", p)
			}
		}
	})
}

// An index that is accepted is written in the same bytes. It is not compressed here, for the reason above.
// FuzzFileLine: what is read without encoding/json is read as encoding/json does.
func FuzzFileLine(f *testing.F) {
	sum := SumHash(nil)
	var lines bytes.Buffer
	for _, file := range []File{
		{Component: "maia_code", Path: "a b/c", Type: TypeFile, SizeBytes: 5, Mode: 0o644, ModTimeNS: 1760320800123456789, SHA256: &sum, Offset: 512},
		{Component: "maia_data_small", Path: "d.db", Type: TypeDatabase, SizeBytes: 1 << 40, Mode: 0o4755, ModTimeNS: -1, SHA256: &sum, Offset: 1<<63 - 1},
		{Component: "shell_configs", Path: "dir", Type: TypeDir, Mode: 0o7777},
		{Component: "maia_code", Path: "link", Type: TypeSymlink, Mode: 0o777, Link: "../x"},
	} {
		lines.Reset()
		if err := writeFileLines(&lines, []File{file}); err != nil {
			f.Fatal(err)
		}
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\n"))
		var got File
		if !plainFileLine(line, &got) || !reflect.DeepEqual(got, file) {
			f.Errorf("%s is read as %+v", line, got)
		}
		f.Add(bytes.Clone(line))
	}
	for _, s := range []string{
		`{"component":"a","path":"base64:eA==","type":"file","size":01,"mode":4294967296,"mtime_ns":9223372036854775808,"offset":-0}`,
		`{"component":"a","path":"a\u0041","type":"dir","size":-0,"mode":0,"mtime_ns":-9223372036854775808,"offset":1e3,"link":""}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var got, want File
		if !plainFileLine(line, &got) {
			return
		}
		if err := json.Unmarshal(line, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v, not as %+v, %v", line, got, want, err)
		}
	})
}

func FuzzDecodeRestoreIndex(f *testing.F) {
	addSeeds(f, "lines")
	f.Fuzz(func(t *testing.T, lines []byte) {
		x, err := parseIndexLines(lines)
		if err != nil {
			wantKnownError(t, err)
			return
		}
		var again bytes.Buffer
		if err := x.writeLines(&again); err != nil || !bytes.Equal(again.Bytes(), lines) {
			t.Fatalf("%v\n%s\nwant\n%s", err, again.Bytes(), lines)
		}
	})
}

// The input is a body: with a checksum that fits, or nothing would get past it.
func FuzzDecodeIndex(f *testing.F) {
	addSeeds(f, "index")
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decodeBytes(body, testRepositoryID); err == nil {
			body = body[:len(body)-32]
		}
		x, err := decodeBytes(sealIndex(body), testRepositoryID)
		if err != nil {
			wantKnownError(t, err)
			return
		}
		path := t.TempDir() + "/index"
		if err := x.Save(nil, path); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		y, err := decodeBytes(b, testRepositoryID)
		if err != nil || y.Len() != x.Len() || !reflect.DeepEqual(y.chunks, x.chunks) {
			t.Fatalf("%v: %d blocks, want %d", err, y.Len(), x.Len())
		}
		for i := range x.table {
			e := x.table[i]
			c, off, n, ok := y.Lookup(&e.hash)
			if e.chunk != 0 && (!ok || c != int(e.chunk-1) || off != int64(e.offset) || n != int64(e.length)) {
				t.Fatalf("block %x: %d %d %d %v, want %+v", e.hash[:4], c, off, n, ok, e)
			}
		}
	})
}

func FuzzExtents(f *testing.F) {
	addSeeds(f, "extents")
	f.Fuzz(func(t *testing.T, b []byte) {
		var x Extents
		if x.UnmarshalText(b) != nil {
			if x != nil {
				t.Fatalf("refused, and yet %v", x)
			}
			return
		}
		if again, err := x.MarshalText(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q, want %q: %v", again, b, err)
		}
		for _, e := range x {
			if e.Chunk < 0 || e.Offset < 0 || e.Length < 1 || e.Offset+e.Length > MaxChunkBytes {
				t.Fatalf("%+v", e)
			}
		}
	})
}

func FuzzName(f *testing.F) {
	addSeeds(f, "name")
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := Name(b).MarshalText()
		if err != nil || !utf8.Valid(text) {
			t.Fatalf("%q: %q %v", b, text, err)
		}
		var n Name
		if err := n.UnmarshalText(text); err != nil || string(n) != string(b) {
			t.Fatalf("%q is read as %q: %v", text, n, err)
		}
		if n.UnmarshalText(b) == nil && utf8.Valid(b) {
			again, err := n.MarshalText()
			var back Name
			if err != nil || back.UnmarshalText(again) != nil || back != n {
				t.Fatalf("%q is read as %q, and %q as %q", b, n, again, back)
			}
		}
	})
}

func FuzzDecodeLine(f *testing.F) {
	addSeeds(f, "line")
	f.Fuzz(func(t *testing.T, b []byte) {
		line := EncodeLine(string(b))
		if back, err := DecodeLine(line); err != nil || back != string(b) {
			t.Fatalf("%q is read as %q: %v", line, back, err)
		}
		s, err := DecodeLine(string(b))
		if err != nil {
			wantKnownError(t, err)
			return
		}
		if again := EncodeLine(s); again != string(b) {
			t.Fatalf("%q is read as %q, which is written as %q", b, s, again)
		}
	})
}

// What is taken for a repository or its writer has an id and a format that this program knows, and is written as what reads as the
// same again.
func FuzzDescriptor(f *testing.F) {
	for _, s := range []string{
		`{"format":1,"repository_id":"0123456789abcdef0123456789abcdef","encryption":"none","created_at":"2025-10-13T03:00:00Z"}`,
		`{"format":1,"repository_id":"../../../../../../../../../../..","encryption":"none"}`, `{"format":2}`, `{"format":1,"encryption":"other"}`, `null`, ``,
		`{"format":1,"writer":1,"state_id":"0123456789abcdef0123456789abcdef","hardware_sha256":"","hostname":"\u001b[8m","created_at":"2025-10-13T03:00:00Z"}`,
		`{"format":9,"writer":1}`, `{"writer":2}`,
	} {
		f.Add([]byte(s))
	}
	r := Repo{Dir: f.TempDir()}
	put := func(t *testing.T, name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(r.Path(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		put(t, RepositoryName, b)
		put(t, WriterName(1), b)
		if d, err := r.Descriptor(); err != nil {
			wantKnownError(t, err)
		} else {
			if d.Format != Format || len(d.RepositoryID) != 32 || strings.Trim(d.RepositoryID, "0123456789abcdef") != "" {
				t.Fatalf("%+v", d)
			}
			if again, err := json.Marshal(d); err == nil { // a year that JSON does not have
				put(t, RepositoryName, again)
				if again, err := r.Descriptor(); err != nil || again.RepositoryID != d.RepositoryID || !again.CreatedAt.Equal(d.CreatedAt) {
					t.Fatalf("%+v, %v, was %+v", again, err, d)
				}
			}
		}
		if w, err := r.Writer(); err != nil {
			wantKnownError(t, err)
		} else if w.Number != 1 {
			t.Fatalf("%+v", w)
		}
	})
}
