package inflate

import (
	"bytes"
	"compress/flate"
	stdgzip "compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"

	kflate "github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// checker holds a Decoder against the standard library. It keeps what is large.
type checker struct {
	d   Decoder
	zr  stdgzip.Reader
	fr  io.ReadCloser
	dst []byte
}

// expect returns what the standard library finds in a gzip file: the content of its whole members, how long each is in
// the file, and why it stopped; nil at a clean end. Reserved flags, which it does not look at, are an error.
func (c *checker) expect(b []byte) (contents [][]byte, sizes []int, err error) {
	src := bytes.NewReader(b)
	zr := &c.zr
	for begun := false; ; begun = true {
		rest := b[len(b)-src.Len():]
		if len(rest) == 0 && begun {
			return contents, sizes, nil
		}
		if len(rest) >= 10 && rest[3]>>5 != 0 {
			return contents, sizes, stdgzip.ErrHeader
		}
		if err := zr.Reset(src); err != nil {
			return contents, sizes, noEOF(err)
		}
		zr.Multistream(false)
		content, err := io.ReadAll(zr)
		if err != nil {
			return contents, sizes, err
		}
		contents, sizes = append(contents, content), append(sizes, len(rest)-src.Len())
	}
}

// wrap makes a gzip file of one member of a deflate stream. A stream that the standard library refuses gets zeros for
// the checksum and length.
func (c *checker) wrap(stream []byte) []byte {
	src := bytes.NewReader(stream)
	if c.fr == nil {
		c.fr = flate.NewReader(src)
	} else if err := c.fr.(flate.Resetter).Reset(src, nil); err != nil {
		panic(err) // it has no dictionary to complain about
	}
	content, err := io.ReadAll(c.fr)
	out := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, stream...)
	if err != nil {
		return append(out, make([]byte, 8)...)
	}
	out = out[:len(out)-src.Len()]
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(content))
	return binary.LittleEndian.AppendUint32(out, uint32(len(content)))
}

// check looks at one input, and returns whether its first member is whole.
func (c *checker) check(t *testing.T, b []byte) bool {
	t.Helper()
	contents, sizes, err := c.expect(b)
	room := 3 + 2*outSlack + 1000
	if len(contents) > 0 {
		room += len(contents[0])
	}
	if cap(c.dst) < room {
		c.dst = make([]byte, 3, room)
	}
	d, dst := &c.d, c.dst[:3]
	if len(contents) == 0 {
		out, n, got := d.Member(dst, b)
		if got == nil || n != 0 || len(out) != len(dst) {
			t.Fatalf("%d bytes of %d taken, %d bytes of content; the standard library says %v", n, len(b), len(out)-3, err)
		}
		return false
	}
	want, size := contents[0], sizes[0]
	for _, room := range []int{len(want), len(want) + outSlack/2, len(want) + 2*outSlack} {
		copy(dst[:3], "abc")
		out, n, err := d.Member(dst[:3:3+room], b)
		if err != nil || n != size || string(out[:3]) != "abc" || !bytes.Equal(out[3:], want) {
			t.Fatalf("room %d: %v, %d bytes taken of %d, %d bytes of content instead of %d", room, err, n, size, len(out)-3, len(want))
		}
	}
	if len(want) > 0 {
		if _, _, err := d.Member(dst[:3:2+len(want)], b); !errors.Is(err, ErrLarge) {
			t.Fatalf("a byte too little room: %v", err)
		}
	}
	return true
}

// Streams made by hand are accepted or refused as they should be, and so does the standard library.
func TestStreams(t *testing.T) {
	var c checker
	for name, s := range streams(t) {
		t.Run(name, func(t *testing.T) {
			if got := c.check(t, c.wrap(s.b)); got != s.good {
				t.Errorf("good: %v", got)
			}
		})
	}
}

// kinds are contents of n bytes as there are in a backup.
func kinds(n int) map[string][]byte {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	random, text, pages := make([]byte, n), make([]byte, 0, n+20), make([]byte, n)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	for len(text) < n {
		text = fmt.Appendf(text, "%s %x\n", []string{"import", "return", "self.", "def", "  "}[rng.IntN(5)], rng.IntN(1+rng.IntN(100000)))
	}
	for i := 0; i < n; i += 4096 {
		page := pages[i:min(i+4096, n)]
		for j := range page {
			if j > rng.IntN(3000) {
				page[j] = text[j%n]
			}
		}
	}
	return map[string][]byte{"random": random, "text": text[:n], "pages": pages, "zeros": make([]byte, n)}
}

// deflaters are the compressors and levels whose output is decoded.
func deflaters(tb testing.TB) map[string]func(w io.Writer) io.WriteCloser {
	tb.Helper()
	out := make(map[string]func(w io.Writer) io.WriteCloser)
	must := func(w io.WriteCloser, err error) io.WriteCloser {
		if err != nil {
			tb.Fatal(err)
		}
		return w
	}
	for level := stdgzip.HuffmanOnly; level <= stdgzip.BestCompression; level++ {
		out[fmt.Sprint("std ", level)] = func(w io.Writer) io.WriteCloser { return must(stdgzip.NewWriterLevel(w, level)) }
	}
	for level := gzip.StatelessCompression; level <= gzip.BestCompression; level++ {
		out[fmt.Sprint("klauspost ", level)] = func(w io.Writer) io.WriteCloser { return must(gzip.NewWriterLevel(w, level)) }
	}
	return out
}

func TestEveryLevel(t *testing.T) {
	var c checker
	for name, deflater := range deflaters(t) {
		for _, n := range []int{0, 300, 40_000} {
			for kind, content := range kinds(n) {
				var gz bytes.Buffer
				w := deflater(&gz)
				if _, err := w.Write(content); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if !c.check(t, gz.Bytes()) {
					t.Errorf("%s: %d bytes of %s are refused", name, n, kind)
				}
			}
		}
	}
}

// Flushes make stored blocks of no bytes, and a window of 4 KiB another shape of matches.
func TestFlushesAndSmallWindow(t *testing.T) {
	var c checker
	for kind, content := range kinds(50_000) {
		for _, window := range []int{32, 4096, 32768} {
			var z bytes.Buffer
			w, err := kflate.NewWriterWindow(&z, window)
			if err != nil {
				t.Fatal(err)
			}
			for rest := content; len(rest) > 0; rest = rest[min(len(rest), 7777):] {
				if _, err := w.Write(rest[:min(len(rest), 7777)]); err != nil {
					t.Fatal(err)
				}
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if !c.check(t, c.wrap(z.Bytes())) {
				t.Errorf("%s, window %d: refused", kind, window)
			}
		}
	}
}

// Every length of content, so that both loops end everywhere.
func TestEveryLength(t *testing.T) {
	var c checker
	content := kinds(700)["text"]
	var gz bytes.Buffer
	zw := gzip.NewWriter(&gz)
	for n := range content {
		gz.Reset()
		zw.Reset(&gz)
		if _, err := zw.Write(content[:n]); err != nil {
			t.Fatal(err)
		}
		if err := zw.Close(); err != nil {
			t.Fatal(err)
		}
		if !c.check(t, gz.Bytes()) {
			t.Errorf("%d bytes are refused", n)
		}
	}
}

// headed makes a member with all optional fields.
func headed(tb testing.TB, content []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, 6)
	if err != nil {
		tb.Fatal(err)
	}
	w.Name, w.Comment, w.Extra = "name", "caf\u00e9", []byte("extra")
	if _, err := w.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	b := out.Bytes()
	n, err := header(b)
	if err != nil {
		tb.Fatal(err)
	}
	b[3] |= flagHdrCrc
	sum := binary.LittleEndian.AppendUint16(nil, uint16(crc32.ChecksumIEEE(b[:n])))
	return append(append(bytes.Clone(b[:n]), sum...), b[n:]...)
}

// smallMembers are members short enough to be damaged everywhere: of each kind of block, and with all fields.
func smallMembers(tb testing.TB) map[string][]byte {
	tb.Helper()
	var c checker
	text := kinds(400)["text"]
	all := streams(tb)
	return map[string][]byte{
		"fields":  headed(tb, text[:60]),
		"dynamic": chunkOf(tb, text, 9),
		"fixed":   chunkOf(tb, text[:30], 9),
		"stored":  chunkOf(tb, text[:50], 0),
		"pairs":   chunkOf(tb, kinds(300)["pages"], gzip.HuffmanOnly),
		"long":    c.wrap(all["15 bits"].b)[:400],
		"one":     c.wrap(all["one distance"].b),
		"deep":    c.wrap(all["15 bits, short"].b),
	}
}

// A bit that is flipped does what it does to the standard library's reader: mostly an error, sometimes nothing.
func TestEveryFlip(t *testing.T) {
	var c checker
	for name, b := range smallMembers(t) {
		whole := 0
		for i := range b {
			for bit := range 8 {
				b[i] ^= 1 << bit
				if c.check(t, b) {
					whole++
				}
				b[i] ^= 1 << bit
			}
		}
		// Time, extra flags, operating system and "text" count for nothing, and up to seven bits before stored
		// content and behind the last block.
		if name == "stored" && whole < 49 || whole > 63 {
			t.Errorf("%s: %d flips of %d do nothing", name, whole, 8*len(b))
		}
	}
}

// The bits that follow one that is flipped can make any sense if the checksum agrees again.
func TestEveryFlipOfAStream(t *testing.T) {
	var c checker
	good := 0
	for name, s := range streams(t) {
		if len(s.b) > 170 {
			continue
		}
		for i := range s.b {
			for bit := range 8 {
				s.b[i] ^= 1 << bit
				if c.check(t, c.wrap(s.b)) {
					good++
				}
				s.b[i] ^= 1 << bit
			}
		}
		if s.good != c.check(t, c.wrap(s.b)) {
			t.Errorf("%s is not what it was", name)
		}
	}
	if good == 0 {
		t.Error("every flip is refused")
	}
}

func TestEveryTruncation(t *testing.T) {
	var c checker
	dst := make([]byte, 0, 1<<20)
	members := smallMembers(t)
	members["long codes"] = c.wrap(streams(t)["as many long codes as there can be"].b)
	for name, b := range members {
		if !c.check(t, b) {
			continue
		}
		for n := range b {
			if _, k, err := c.d.Member(dst, b[:n]); !errors.Is(err, ErrShort) || k != 0 {
				t.Errorf("%s, %d bytes of %d: %v, %d bytes taken", name, n, len(b), err, k)
			}
		}
		if _, n, err := c.d.Member(dst, append(bytes.Clone(b), b...)); err != nil || n != len(b) {
			t.Errorf("%s, twice: %v, %d bytes taken of %d", name, err, n, len(b))
		}
	}
}

// Headers with strings at their limit, and extra fields of every kind.
func TestHeaders(t *testing.T) {
	var c checker
	rest := chunkOf(t, []byte("content"), 6)[10:]
	for flags := range 256 {
		for _, n := range []int{0, 1, 510, 511, 512, 513} {
			b := append([]byte{0x1f, 0x8b, 8, byte(flags)}, 0, 0, 0, 0, 0, 3)
			if flags&flagExtra != 0 {
				b = append(binary.LittleEndian.AppendUint16(b, uint16(n)), make([]byte, n)...)
			}
			for _, f := range []int{flagName, flagComment} {
				if flags&f != 0 {
					b = append(append(b, bytes.Repeat([]byte{0xe9}, n)...), 0)
				}
			}
			if flags&flagHdrCrc != 0 {
				b = binary.LittleEndian.AppendUint16(b, uint16(crc32.ChecksumIEEE(b)))
			}
			good := flags < 32 && (n < maxString || flags&(flagName|flagComment) == 0)
			if got := c.check(t, append(b, rest...)); got != good {
				t.Errorf("flags %08b, %d bytes: %v", flags, n, got)
			}
		}
	}
	for i, wrong := range []byte{0x1e, 0x8a, 7} {
		b := chunkOf(t, []byte("content"), 6)
		b[i] = wrong
		if c.check(t, b) {
			t.Errorf("byte %d may be %x", i, wrong)
		}
	}
}

// A distance never reaches what stood in dst before, in neither loop.
func TestDistanceEndsAtTheMember(t *testing.T) {
	var c checker
	// The checksum is that of what stood there.
	b := c.wrap(streams(t)["match before anything"].b)
	b = binary.LittleEndian.AppendUint32(b[:10+3], crc32.ChecksumIEEE(make([]byte, 3)))
	b = append(binary.LittleEndian.AppendUint32(b, 3), make([]byte, 100)...)
	for _, room := range []int{100, 10_000} {
		if _, _, err := c.d.Member(make([]byte, 1000, 1000+room), b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("room %d: %v", room, err)
		}
	}
}

// Matches are written by words, but never behind the room there is, whatever their distance and wherever they end.
func TestEveryRoom(t *testing.T) {
	var c checker
	lit, dist := fixedCode()
	for distance := range 10 {
		var w bitWriter
		w.stored(false, kinds(64)["text"])
		w.block(true, 1)
		for range 3 {
			w.put(lit, 'a')
			w.put(lit, 285)
			w.put(dist, distance)
			w.bits(0, uint(distEntries[distance]&bitsMask))
		}
		w.put(lit, 256)
		// Without more input behind it, the fast loop ends early.
		b := append(c.wrap(w.b), make([]byte, 100)...)
		contents, sizes, _ := c.expect(b)
		want := contents[0]
		for room := range 2 * outSlack {
			out, n, err := c.d.Member(make([]byte, 0, len(want)+room), b)
			if err != nil || n != sizes[0] || !bytes.Equal(out, want) {
				t.Fatalf("distance %d, %d bytes more room: %v, %d bytes taken", distance, room, err, n)
			}
		}
	}
}

// The same Decoder is used from one input to the next and allocates nothing.
func TestNoAllocation(t *testing.T) {
	var d Decoder
	dst := make([]byte, 0, 1<<20)
	b := chunkOf(t, kinds(100_000)["pages"], 6)
	if n := testing.AllocsPerRun(10, func() {
		if _, _, err := d.Member(dst, b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
