package inflate

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
)

// sources are ways in which a file may come in pieces.
var sources = map[string]func(io.Reader) io.Reader{
	"whole":       func(r io.Reader) io.Reader { return r },
	"halves":      iotest.HalfReader,
	"one by one":  iotest.OneByteReader,
	"end at once": iotest.DataErrReader,
}

// read returns all that a Reader has, by Next.
func read(r *Reader) (content []byte, err error) {
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return content, nil
		}
		if err != nil {
			return content, err
		}
		if len(b) == 0 || len(b) > maxContent+outSlack {
			return content, errors.New("a piece of no or too many bytes")
		}
		content = append(content, b...)
	}
}

// checkFile holds a Reader against the standard library on one file, and returns whether it is whole. What comes before
// an error is what whole members hold, and at most as much of the next as the standard library has, too.
func (c *checker) checkFile(t *testing.T, r *Reader, b []byte) bool {
	t.Helper()
	contents, sizes, want := c.expect(b)
	at := 0
	for i, n := range sizes {
		// The one thing that is refused and is well-formed: a member that declares other sizes than it has, or too large ones.
		if size, content, ok := declared(b[at:]); ok && (size != n || content != len(contents[i]) || content > maxContent) {
			contents, want = contents[:i], ErrCorrupt
			break
		}
		at += n
	}
	all := bytes.Join(contents, nil)
	for name, source := range sources {
		r.Reset(source(bytes.NewReader(b)))
		got, err := read(r)
		if (err == nil) != (want == nil) {
			t.Fatalf("%s: %v; the standard library says %v", name, err, want)
		}
		if !bytes.HasPrefix(got, all) || err == nil && len(got) != len(all) {
			t.Fatalf("%s: %d bytes of content instead of %d", name, len(got), len(all))
		}
		if _, again := r.Next(); err == nil && !errors.Is(again, io.EOF) || err != nil && !errors.Is(again, err) {
			t.Fatalf("%s: %v, and then %v", name, err, again)
		}
	}
	return want == nil
}

func TestReader(t *testing.T) {
	var c checker
	var r Reader
	small, rest := chunkOf(t, []byte("content"), 6), kinds(3000)
	empty := memberOf(t, nil, 6)
	for name, tc := range map[string]struct {
		b    []byte
		good bool
	}{
		"nothing":              {nil, false},
		"an empty member":      {empty, true},
		"empty members":        {bytes.Repeat(empty, 1000), true},
		"one":                  {small, true},
		"with fields":          {headed(t, []byte("content")), true},
		"several":              {bytes.Join([][]byte{small, empty, headed(t, rest["text"]), memberOf(t, rest["pages"], 1), empty}, nil), true},
		"zeros behind it":      {append(bytes.Clone(small), make([]byte, 20)...), false},
		"a zero behind it":     {append(bytes.Clone(small), 0), false},
		"garbage behind it":    {append(bytes.Clone(small), "garbage garbage"...), false},
		"second cut off":       {append(bytes.Clone(small), small[:12]...), false},
		"second within a name": {append(bytes.Clone(small), headed(t, nil)[:20]...), false},
		"second is corrupt":    {append(append(bytes.Clone(small), small[:len(small)-1]...), 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.checkFile(t, &r, tc.b); got != tc.good {
				t.Errorf("whole: %v", got)
			}
		})
	}
}

// A file that is cut off is told from one that is corrupt, and from one that ends behind a member.
func TestReaderEveryTruncation(t *testing.T) {
	var r Reader
	all := smallMembers(t)
	first := all["fields"]
	b := append(bytes.Clone(first), all["dynamic"]...)
	for n := range b {
		for name, source := range sources {
			r.Reset(source(bytes.NewReader(b[:n])))
			_, err := read(&r)
			if n == len(first) && err != nil || n != len(first) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s, %d bytes of %d: %v", name, n, len(b), err)
			}
		}
	}
}

// memberOf compresses content, also a large one or none, to one member.
func memberOf(tb testing.TB, content []byte, level int) []byte {
	tb.Helper()
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := zw.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// Files that are larger than the buffers: many members, or members too large to be decoded at once.
func TestReaderOfLargeFiles(t *testing.T) {
	var c checker
	var r Reader
	chunk := kinds(maxContent + 1000) // more than the slack behind a member's content
	random, text := chunk["random"], chunk["text"]
	small := chunkOf(t, []byte("content"), 6)
	manyBlocks := bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, inBytes/5+1)
	join := func(list ...[]byte) []byte { return bytes.Join(list, nil) }
	large := memberOf(t, text, 6)
	for name, tc := range map[string]struct {
		b    []byte
		good bool
	}{
		"random, members of 1 MiB":       {chunkOf(t, join(random, random), 6), true},
		"text and random":                {join(chunkOf(t, text, 6), chunkOf(t, random[:maxContent], 0), chunkOf(t, text, 1)), true},
		"a large member":                 {large, true},
		"a large member between others":  {join(small, large, small, large), true},
		"a large member of zeros":        {memberOf(t, make([]byte, 3<<20), 9), true},
		"a large member with fields":     {join(headed(t, text), headed(t, text)), true},
		"much input for little content":  {join(c.wrap(append(manyBlocks, 3, 0)), small), true},
		"a large member, then garbage":   {join(large, []byte("garbage garbage")), false},
		"a large member, then half":      {join(large, small[:12]), false},
		"a large member, half a name":    {join(large, headed(t, nil)[:20]), false},
		"a large member cut off":         {join(small, large[:len(large)-9]), false},
		"a large member, wrong checksum": {join(small, large[:len(large)-8], make([]byte, 8), small), false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, source := range []string{"whole", "halves"} {
				r.Reset(sources[source](bytes.NewReader(tc.b)))
				contents, _, want := c.expect(tc.b)
				got, err := read(&r)
				if (want == nil) != tc.good || (err == nil) != tc.good || !bytes.HasPrefix(got, bytes.Join(contents, nil)) {
					t.Fatalf("%s: %v, %d bytes of content; the standard library says %v", source, err, len(got), want)
				}
			}
			if large := strings.Contains(name, "large member"); r.large != (large || strings.HasPrefix(name, "much input")) {
				t.Errorf("read as large: %v", r.large)
			}
			if c := cap(r.in) + cap(r.out); c > inBytes+maxContent+outSlack {
				t.Errorf("the buffers have grown to %d bytes", c)
			}
		})
	}
}

// Read hands out the same as Next, in pieces of any length, and both may be mixed.
func TestReadAndNext(t *testing.T) {
	content := kinds(300_000)["pages"]
	var file []byte
	for rest := content; len(rest) > 0; rest = rest[min(len(rest), 70_000):] {
		file = append(file, memberOf(t, rest[:min(len(rest), 70_000)], 6)...)
	}
	var r Reader
	r.Reset(bytes.NewReader(file))
	if err := iotest.TestReader(&r, content); err != nil {
		t.Error(err)
	}
	rng := rand.New(rand.NewPCG(5, 1))
	r.Reset(bytes.NewReader(file))
	var got []byte
	for {
		b := make([]byte, 1+rng.IntN(40_000))
		n, err := r.Read(b)
		got = append(got, b[:n]...)
		if err == nil && rng.IntN(3) == 0 {
			b, err = r.Next()
			got = append(got, b...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, content) {
		t.Errorf("%d bytes, not the %d there are", len(got), len(content))
	}
}

// A source's own error comes out as it is, behind what was read before it; within a member as well as between two.
func TestReaderSourceFails(t *testing.T) {
	small := chunkOf(t, []byte("content"), 6)
	large := memberOf(t, kinds(maxContent + 1000)["text"], 6)
	var r Reader
	for _, failure := range []error{syscall.EDEADLK, io.ErrUnexpectedEOF} {
		for name, tc := range map[string]struct {
			b    []byte
			want int
		}{
			"at once":               {nil, 0},
			"within a header":       {small[:5], 0},
			"within a member":       {append(bytes.Clone(small), small[:20]...), 7},
			"between two":           {append(bytes.Clone(small), small...), 14},
			"behind a large member": {append(bytes.Clone(small), large...), 7 + maxContent + 1000},
		} {
			r.Reset(io.MultiReader(bytes.NewReader(tc.b), &failsOnce{failure}))
			got, err := read(&r)
			if !errors.Is(err, failure) || len(got) != tc.want {
				t.Errorf("%s: %v, %d bytes of content", name, err, len(got))
			}
		}
	}
	r.Reset(stuck{})
	if _, err := r.Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a source that gives nothing: %v", err)
	}
	var zero Reader
	if _, err := zero.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the zero value: %v", err)
	}
}

// failsOnce is a source that would go on behind an error.
type failsOnce struct{ err error }

func (f *failsOnce) Read(b []byte) (int, error) {
	err := f.err
	f.err = nil
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// stuck is a source that gives nothing.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// declaring returns a member that declares its sizes, as a packer writes it.
func declaring(tb testing.TB, content []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, 6)
	if err != nil {
		tb.Fatal(err)
	}
	w.Extra = Field()
	if _, err := w.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	Declare(out.Bytes(), len(content))
	return out.Bytes()
}

// A member that declares its sizes can be passed over, whatever is in it, and what is behind it is read.
func TestSkip(t *testing.T) {
	contents := kinds(maxContent)
	names := slices.Sorted(maps.Keys(contents))
	var file []byte
	for _, name := range names {
		m := declaring(t, contents[name])
		if name != names[0] {
			m[len(m)-9] ^= 1 // what is passed over is not decoded: its checksum would be found wrong
		}
		file = append(file, m...)
		file = append(file, declaring(t, []byte(name))...)
	}
	for way, source := range sources {
		if way == "one by one" {
			continue // some seconds
		}
		var r Reader
		r.Reset(source(bytes.NewReader(file)))
		for i, name := range names {
			if n, err := r.Skip(int64(len(contents[name])) - 1); n != 0 || err != nil {
				t.Fatalf("%s: %s: %d bytes were passed over where fewer are, %v", way, name, n, err)
			}
			if i == 0 {
				if b, err := r.Next(); err != nil || !bytes.Equal(b, contents[name]) {
					t.Fatalf("%s: %s: %d bytes, %v", way, name, len(b), err)
				}
			} else if n, err := r.Skip(maxContent); n != int64(len(contents[name])) || err != nil {
				t.Fatalf("%s: %s: %d bytes were passed over, %v", way, name, n, err)
			}
			if b, err := r.Next(); err != nil || string(b) != name {
				t.Fatalf("%s: behind %s: %q, %v", way, name, b, err)
			}
		}
		if n, err := r.Skip(maxContent); n != 0 || err != nil {
			t.Errorf("%s: at the end %d bytes were passed over, %v", way, n, err)
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end: %v", way, err)
		}
	}
}

// Members that declare nothing, or not by the book, are not passed over; those that are cut off or do not have the sizes
// they declare are damaged.
func TestSkipRefuses(t *testing.T) {
	content := kinds(3000)["text"]
	good := declaring(t, content)
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"nothing declared": memberOf(t, content, 6), "other fields": headed(t, content), "empty": {}, "another subfield": changed(13, 'X'),
		"a longer field": changed(10, 13), "a longer subfield": changed(14, 9), "no content": declaring(t, nil), "cut off in the field": good[:20],
	} {
		var r Reader
		r.Reset(bytes.NewReader(b))
		if n, err := r.Skip(maxContent); n != 0 || err != nil {
			t.Errorf("%s: %d bytes were passed over, %v", name, n, err)
		}
	}
	for name, b := range map[string][]byte{
		"shorter": changed(fieldAt+4, good[fieldAt+4]-1), "longer": changed(fieldAt+4, good[fieldAt+4]+1),
		"less content": changed(fieldAt+8, good[fieldAt+8]-1), "more content": changed(fieldAt+8, good[fieldAt+8]+1),
	} {
		var r Reader
		r.Reset(bytes.NewReader(append(bytes.Clone(b), good...)))
		if _, err := r.Next(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s than declared: %v", name, err)
		}
	}
	large := declaring(t, make([]byte, 2*maxContent))
	var r Reader
	r.Reset(bytes.NewReader(large))
	if _, err := r.Next(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a member that is too large: %v", err)
	}
	for n := headBytes; n < len(good); n += 7 {
		r.Reset(bytes.NewReader(good[:n]))
		if k, err := r.Skip(maxContent); k != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut off after %d bytes: %d bytes were passed over, %v", n, k, err)
		}
	}
	huge := changed(fieldAt+6, 0xff) // 16 MB
	r.Reset(io.MultiReader(bytes.NewReader(huge), bytes.NewReader(make([]byte, 20<<20))))
	if k, err := r.Skip(maxContent); k != 0 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("16 MB declared: %d bytes were passed over, %v", k, err)
	}
}
