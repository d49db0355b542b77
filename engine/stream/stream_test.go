package stream

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func header(t testing.TB, e Entry) []byte {
	t.Helper()
	b, err := Header(e)
	if err != nil {
		t.Fatal(err)
	}
	if len(b)%TarBlock != 0 {
		t.Fatalf("the header of %q has %d bytes", e.Path, len(b))
	}
	return b
}

// archive makes a tar as the engine does: headers, contents, padding, trailer.
func archive(t testing.TB, entries []Entry, content func(Entry) []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, e := range entries {
		b.Write(header(t, e))
		if e.Type == File {
			b.Write(content(e))
			b.Write(make([]byte, Padding(e.Size)))
		}
	}
	b.Write(Trailer)
	return b.Bytes()
}

func contentOf(e Entry) []byte { return bytes.Repeat([]byte("x"), int(e.Size)) }

var names = []string{
	"plain", "with space", "-rf", "$(touch x)", "`id`", ";", "*", "new\nline", "tab\t", "back\\slash", `"quotes'`, "ä", "日本", "\U0001f600", "\xff\xfe", "caf\xe9",
	"%s%n", "~", "#", "a=b", "12 path=x", strings.Repeat("n", 100), strings.Repeat("n", 101), strings.Repeat("é", 127), ".hidden", "._resource", "end.",
	"\x01\x7f", "A", "a",
}

var times = []time.Time{
	time.Unix(0, 0), time.Unix(1760320800, 0), time.Unix(1760320800, 1), time.Unix(1760320800, 123456789), time.Unix(1760320800, 500000000),
	time.Unix(1<<31-1, 999999999), time.Unix(1<<31, 0), time.Unix(1<<33, 7), time.Unix(4102444800, 250000000), time.Unix(-1, 0), time.Unix(-86400, 0),
	time.Unix(-2_000_000_000, 0), time.Unix(-1, 500000000), time.Unix(-86401, 999999999),
}

var modes = []int64{0o644, 0o600, 0o755, 0o400, 0o4755, 0o2755, 0o1777, 0, 0o7777}

func entries() []Entry {
	var out []Entry
	for i, name := range names {
		at, mode := times[i%len(times)].UnixNano(), modes[i%len(modes)]
		out = append(out,
			Entry{Type: File, Path: name, Mode: mode, Size: int64(i * 100), ModTimeNS: at},
			Entry{Type: Dir, Path: "dir/" + name, Mode: 0o755, ModTimeNS: at},
			Entry{Type: Symlink, Path: "link/" + name, Link: "../" + name, Mode: 0o777, ModTimeNS: at})
	}
	for i, at := range times {
		out = append(out, Entry{Type: File, Path: fmt.Sprintf("time/%d", i), Mode: 0o644, ModTimeNS: at.UnixNano()})
	}
	return append(out, Entry{Type: File, Path: strings.Repeat("deep/", 60) + "file", Mode: 0o644, Size: 1})
}

func TestHeadersWithGo(t *testing.T) {
	all := entries()
	r := tar.NewReader(bytes.NewReader(archive(t, all, contentOf)))
	for _, e := range all {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%q: %v", e.Path, err)
		}
		path := strings.TrimSuffix(h.Name, "/")
		if h.Typeflag != e.Type || path != e.Path || h.Linkname != e.Link || h.Mode != e.Mode || h.Size != e.Size || h.ModTime.UnixNano() != e.ModTimeNS {
			t.Errorf("%+v\nis read as %+v", e, h)
		}
		if strings.HasSuffix(h.Name, "/") != (e.Type == Dir) {
			t.Errorf("%q stands as %q", e.Path, h.Name)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%q has an owner: %+v", e.Path, h)
		}
		if body, err := io.ReadAll(r); err != nil || !bytes.Equal(body, contentOf(Entry{Size: e.Size})) {
			t.Errorf("%q: %d bytes, %v", e.Path, len(body), err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// The same entry has the same header, whatever came before: or it would not be found again.
func TestHeadersAreDeterministic(t *testing.T) {
	for _, e := range entries() {
		if a, b := header(t, e), header(t, e); !bytes.Equal(a, b) {
			t.Errorf("%q has two headers", e.Path)
		}
	}
	// A plain file costs one block: a Maia has tens of thousands.
	if n := len(header(t, Entry{Type: File, Path: "claude/tools/x.py", Mode: 0o644, Size: 5000, ModTimeNS: 1760320800e9})); n != TarBlock {
		t.Errorf("a plain header has %d bytes", n)
	}
}

// What is made here is what archive/tar makes: a block that differs would be stored anew.
func TestPlainHeaders(t *testing.T) {
	plain := 0
	same := func(e Entry) {
		t.Helper()
		got := plainHeader(nil, e)
		if got == nil {
			return
		}
		plain++
		if want, err := anyHeader(e); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v: %d bytes differ from %d bytes, %v", e, len(got), len(want), err)
		}
	}
	for _, e := range entries() {
		same(e)
	}
	paths := append([]string{
		"", ".", "..", "/", "a//b", "./a", "a/./b", "a/../b", "../a", "a/", "x/" + strings.Repeat("n", 97), "x/" + strings.Repeat("n", 98),
		strings.Repeat("n", 86) + "/b/c", strings.Repeat("n", 87) + "/b", strings.Repeat("n", 98) + "/", "a/" + strings.Repeat("b/", 40),
	}, names...)
	for i, p := range paths {
		for j, at := range append([]time.Time{time.Unix(1<<33-1, 1), time.Unix(9, 10), time.Unix(99, 1e8)}, times...) {
			for _, size := range []int64{0, 1, 511, 1<<33 - 1, 1 << 33, -1} {
				same(Entry{Type: File, Path: p, Mode: modes[(i+j)%len(modes)], Size: size, ModTimeNS: at.UnixNano()})
			}
			same(Entry{Type: Dir, Path: p, Mode: 1<<21 - 1, ModTimeNS: at.UnixNano()})
			same(Entry{Type: Symlink, Path: p, Mode: 0o777, Link: "x", ModTimeNS: at.UnixNano()})
		}
	}
	dirty := bytes.Repeat([]byte("x"), 4*TarBlock)
	e := Entry{Type: File, Path: "a/b", Mode: 0o644, Size: 7, ModTimeNS: 1760320800123456789}
	if got, err := AppendHeader(dirty[:1], e); err != nil || !bytes.Equal(got, append([]byte("x"), header(t, e)...)) {
		t.Errorf("into a buffer that was used: %q, %v", got, err)
	}
	if plain < 1000 {
		t.Errorf("only %d headers were plain", plain)
	}
}

func FuzzPlainHeader(f *testing.F) {
	f.Add("claude/tools/x.py", true, int64(0o644), int64(5000), int64(1760320800123456789))
	f.Add("dir", false, int64(0o755), int64(0), int64(1760320800e9))
	f.Fuzz(func(t *testing.T, name string, file bool, mode, size, at int64) {
		e := Entry{Type: Dir, Path: name, Mode: mode, Size: size, ModTimeNS: at}
		if file {
			e.Type = File
		}
		got := plainHeader(nil, e)
		if got == nil {
			return
		}
		if want, err := anyHeader(e); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v: %d bytes differ from %d bytes, %v", e, len(got), len(want), err)
		}
	})
}

func TestHeaderOfHugeFile(t *testing.T) {
	h, err := tar.NewReader(bytes.NewReader(header(t, Entry{Type: File, Path: "huge", Mode: 0o644, Size: 1 << 40}))).Next()
	if err != nil || h.Size != 1<<40 {
		t.Error(h, err)
	}
}

func TestHeaderRefuses(t *testing.T) {
	for _, e := range []Entry{{Type: File, Path: "nul\x00"}, {Type: File, Path: "x", Size: -1}, {Type: Symlink, Path: "x", Link: "nul\x00"}} {
		if b, err := Header(e); err == nil {
			t.Errorf("%+v: a header of %d bytes", e, len(b))
		}
	}
}

// extract runs a tar program on an archive.
func extract(t *testing.T, program string, b []byte) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "archive.tar")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-xpof", file, "-C", dir)
	// In the C locale bsdtar extracts names beyond ASCII just as well, and ends with 1.
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=" + utf8Locale, "TZ=UTC"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", program, err, out)
	}
	return dir
}

// The tar programs of Linux and of macOS (bsdtar) restore every name, mode, time and byte.
func TestHeadersWithTarPrograms(t *testing.T) {
	for _, program := range tarPrograms {
		t.Run(program, func(t *testing.T) {
			all := slices.DeleteFunc(entries(), func(e Entry) bool { return !storable(e.Path) })
			if program == "bsdtar" {
				all = wholeSeconds(all)
			}
			dir := extract(t, program, archive(t, all, contentOf))
			for _, e := range all {
				checkExtracted(t, filepath.Join(dir, e.Path), e)
			}
			// Nothing beside them but the folders that lead to them.
			want := map[string]bool{"link": true, "time": true, "dir": true}
			for _, e := range all {
				for p := e.Path; p != "."; p = filepath.Dir(p) {
					want[p] = true
				}
			}
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if rel, _ := filepath.Rel(dir, path); err == nil && rel != "." && !want[rel] {
					t.Errorf("%q was made", rel)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func checkExtracted(t *testing.T, path string, e Entry) {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Errorf("%q: %v", e.Path, err)
		return
	}
	if e.Type == Symlink {
		if link, err := os.Readlink(path); err != nil || link != e.Link {
			t.Errorf("%q leads to %q (%v), want %q", e.Path, link, err, e.Link)
		}
		return
	}
	mode := int64(fi.Mode().Perm())
	for bit, flag := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if fi.Mode()&flag != 0 {
			mode |= bit
		}
	}
	if mode != e.Mode || fi.ModTime().UnixNano() != e.ModTimeNS || e.Type == File && fi.Size() != e.Size || fi.IsDir() != (e.Type == Dir) {
		t.Errorf("%q: %v %o %v %d, want %o %v %d", e.Path, fi.Mode(), mode, fi.ModTime().UTC(), fi.Size(), e.Mode, time.Unix(0, e.ModTimeNS).UTC(), e.Size)
	}
}

// wholeSeconds rounds the times before 1970: bsdtar reads -0.5 as 0.5. Both restores set such times from the list.
func wholeSeconds(all []Entry) []Entry {
	for i := range all {
		if all[i].ModTimeNS < 0 {
			all[i].ModTimeNS -= all[i].ModTimeNS % 1e9
		}
	}
	return all
}

func TestPadding(t *testing.T) {
	for size, want := range map[int64]int{0: 0, 1: 511, 511: 1, 512: 0, 513: 511, 1 << 40: 0, 1<<40 + 3: 509} {
		if got := Padding(size); got != want {
			t.Errorf("%d bytes are padded by %d, want %d", size, got, want)
		}
	}
	for size, want := range map[int]int{512: 4096, 1024: 4096, 4096: 4096, 8192: 8192, 65536: 65536} {
		if got := PageBlock(size); got != want {
			t.Errorf("pages of %d go in blocks of %d, want %d", size, got, want)
		}
	}
}

// random returns a source that is the same for the same seed, for ever: ChaCha8 is specified.
func random(seed byte) (*rand.ChaCha8, *rand.Rand) {
	c := rand.NewChaCha8([32]byte{seed})
	return c, rand.New(c)
}

func randomBytes(c *rand.ChaCha8, n int) []byte {
	b := make([]byte, n)
	c.Read(b)
	return b
}

// pieces cuts all of p.
func pieces(t testing.TB, p []byte) [][]byte {
	t.Helper()
	var out [][]byte
	for len(p) > 0 {
		n := Cut(p)
		if n < 1 || n > MaxPiece || n < MinPiece && n != len(p) {
			t.Fatalf("a piece of %d bytes, of %d", n, len(p))
		}
		out = append(out, p[:n])
		p = p[n:]
	}
	return out
}

func TestCutSizes(t *testing.T) {
	source, _ := random(1)
	data := randomBytes(source, 12<<20)
	list := pieces(t, data)
	if average := len(data) / len(list) >> 10; average < 48 || average > 96 {
		t.Errorf("pieces of %d KiB on average", average)
	}
	for _, b := range [][]byte{make([]byte, 1<<20), bytes.Repeat([]byte("ab"), 1<<19)} {
		if n := len(pieces(t, b)); n > len(b)/MinPiece || n < len(b)/MaxPiece {
			t.Errorf("%q… is cut into %d pieces", b[:4], n)
		}
	}
	if Cut(nil) != 0 || Cut([]byte("x")) != 1 || Cut(data[:MinPiece]) != MinPiece {
		t.Error("short content is not one piece")
	}
}

// A cut depends on what stands before it, never on what follows or how it arrived.
func TestCutIsDeterministic(t *testing.T) {
	source, _ := random(2)
	data := randomBytes(source, 2<<20)
	for rest := data; len(rest) >= MaxPiece; rest = rest[Cut(rest):] {
		n := Cut(rest)
		if again := Cut(rest[:MaxPiece]); again != n {
			t.Fatalf("cut at %d with a view of all, at %d with MaxPiece", n, again)
		}
		if n < MaxPiece && Cut(rest[:n+1]) != n {
			t.Fatalf("cut at %d depends on what follows", n)
		}
	}
	// These numbers are part of no format, but a change makes everything look new once.
	golden := []int{}
	for _, p := range pieces(t, data[:400_000]) {
		golden = append(golden, len(p))
	}
	if got := fmt.Sprint(golden); got != wantCuts {
		t.Errorf("cut at %v, used to be cut at %v", got, wantCuts)
	}
}

const wantCuts = "[74015 79483 95626 79111 68197 3568]"

// An insertion, a deletion or a change makes few pieces new.
func TestCutResynchronises(t *testing.T) {
	for seed := range byte(9) {
		source, rng := random(seed)
		data := randomBytes(source, 2<<20)
		at, n := rng.IntN(len(data)-1000), 1+rng.IntN(500)
		var changed []byte
		switch seed % 3 {
		case 0:
			changed = append(append(append(changed, data[:at]...), randomBytes(source, n)...), data[at:]...)
		case 1:
			changed = append(append(changed, data[:at]...), data[at+n:]...)
		case 2:
			changed = append(append(append(changed, data[:at]...), randomBytes(source, n)...), data[at+n:]...)
		}
		known := map[string]bool{}
		for _, p := range pieces(t, data) {
			known[string(p)] = true
		}
		fresh, freshBytes := 0, 0
		for _, p := range pieces(t, changed) {
			if !known[string(p)] {
				fresh++
				freshBytes += len(p)
			}
		}
		if fresh == 0 || fresh > 10 || freshBytes > 1<<20 {
			t.Errorf("seed %d: %d new pieces of %d bytes after a change of %d", seed, fresh, freshBytes, n)
		}
	}
}

func BenchmarkCut(b *testing.B) {
	source, _ := random(1)
	data := randomBytes(source, 8<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for rest := data; len(rest) > 0; rest = rest[Cut(rest):] {
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	for b.Loop() {
		if _, err := Header(Entry{Type: File, Path: "claude/tools/x.py", Mode: 0o644, Size: 5000, ModTimeNS: 1760320800123456789}); err != nil {
			b.Fatal(err)
		}
	}
}
