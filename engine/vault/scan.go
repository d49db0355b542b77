package vault

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// MinNeedle is the fewest bytes of a value, and of a form of it, that a Scanner looks for. What is shorter would be found
// everywhere by chance, and is ignored.
const MinNeedle = 8

// MaxReports is how often a Stream reports a value, in whatever forms.
const MaxReports = 16

// Needle is a secret value to look for. Label names it in a Match and must tell nothing of the value.
type Needle struct {
	Value []byte
	Label string
}

// Match is a place where a value stands.
type Match struct {
	Label  string
	Form   Form
	Offset int64 // of its first byte in the stream
}

// Scanner finds values, and their encoded forms (see Form), in streams of bytes: exactly those, and all of them. It does
// not change and is safe for concurrent use.
//
// It looks at every fourth position of what it is given: whatever has 8 bytes has 5 of them behind one of these. For each
// value it knows the 5 bytes at its first four positions, its grams. A table of bits says of nearly every position that no
// gram is there; behind the others the gram, then the value is compared.
type Scanner struct {
	labels   []string
	patterns []pattern
	longest  int
	filter   []uint64 // a bit for each value of a gram's hash, its upper bits
	shift    uint     // what leaves those of a hash
	first    []uint32 // by fewer upper bits of the hash: where its places begin in places
	places   []place
}

const (
	step     = 4
	gramSize = MinNeedle - step + 1
	// The filter has 2^sparsity times the bits of the table of places: at most one in 64 is set.
	sparsity = 6
)

type pattern struct {
	bytes  []byte
	form   Form
	needle int // whose form it is: an index into labels
}

// place is a gram of a pattern.
type place struct {
	gram    uint64
	pattern uint32
	offset  uint32 // where in the pattern the gram stands, 0 to 3
}

// gramAt returns the gram that 8 bytes begin with: the little-endian number of 5 of them, shifted up.
func gramAt(eight []byte) uint64 {
	return binary.LittleEndian.Uint64(eight) << (64 - 8*gramSize)
}

// gramHash is a multiplicative hash: the upper bits are the good ones.
func gramHash(gram uint64) uint64 { return gram * 0x9e3779b97f4a7c15 }

// NewScanner prepares to look for these values.
func NewScanner(values []Needle) *Scanner {
	s := new(Scanner)
	for _, v := range values {
		if len(v.Value) < MinNeedle {
			continue
		}
		s.labels = append(s.labels, v.Label)
		forms(v.Value, func(form Form, b []byte) {
			if len(b) >= MinNeedle {
				s.add(pattern{b, form, len(s.labels) - 1})
			}
		})
	}
	s.index()
	return s
}

func (s *Scanner) add(p pattern) {
	s.patterns = append(s.patterns, p)
	s.longest = max(s.longest, len(p.bytes))
	for offset := range uint32(step) {
		var eight [8]byte
		copy(eight[:], p.bytes[offset:])
		s.places = append(s.places, place{gramAt(eight[:]), uint32(len(s.patterns) - 1), offset})
	}
}

// index builds the tables. For 100 values the filter has some 64 KiB, which the nearer caches hold.
func (s *Scanner) index() {
	size := bits.Len(uint(len(s.places)))
	s.shift = uint(64 - size - sparsity)
	s.filter = make([]uint64, max(1<<(size+sparsity)/64, 1))
	s.first = make([]uint32, 1<<size+1)
	slices.SortFunc(s.places, func(a, b place) int { return cmp.Compare(gramHash(a.gram), gramHash(b.gram)) })
	for _, p := range s.places {
		bit := gramHash(p.gram) >> s.shift
		s.filter[bit/64] |= 1 << (bit % 64)
		s.first[bit>>sparsity+1]++
	}
	for i := 1; i < len(s.first); i++ {
		s.first[i] += s.first[i-1]
	}
}

// Stream looks for the values in what is written to it, also across the borders of writes. It is not safe for concurrent
// use; many streams of one Scanner are.
type Stream struct {
	scanner *Scanner
	report  func(Match)
	written int64
	kept    int    // how many bytes at the beginning of buf are the last ones written
	buf     []byte // twice one byte less than the longest pattern
	counts  []int  // reports of each value
}

// Stream begins a stream. report is called in Write, for each place once, in no particular order, at most MaxReports
// times for each Needle.
func (s *Scanner) Stream(report func(Match)) *Stream {
	return &Stream{scanner: s, report: report, buf: make([]byte, 2*max(s.longest-1, 0)), counts: make([]int, len(s.labels))}
}

// Reset begins another stream in the same memory, as if nothing had been written and reported.
func (t *Stream) Reset() {
	t.written, t.kept = 0, 0
	clear(t.counts)
}

// Write implements io.Writer and never fails. It keeps no reference to p and allocates nothing. Each call looks once
// more at the border to the one before, which takes up to twice the longest value's length: pieces should not be small.
func (t *Stream) Write(p []byte) (int, error) {
	t.border(p)
	t.scan(p, t.written, 0)
	t.written += int64(len(p))
	return len(p), nil
}

// border scans for what begins in the bytes kept and ends in p, and keeps the last ones of both.
func (t *Stream) border(p []byte) {
	room := len(t.buf) / 2
	n := t.kept + copy(t.buf[t.kept:t.kept+room], p)
	if t.kept > 0 {
		t.scan(t.buf[:n], t.written-int64(t.kept), t.kept)
	}
	if len(p) >= room {
		t.kept = copy(t.buf, p[len(p)-room:])
	} else {
		t.kept = copy(t.buf, t.buf[max(n-room, 0):n])
	}
}

// scan reports what stands in b, which begins at base in the stream; if border is not 0, only what begins before it and
// ends behind it.
func (t *Stream) scan(b []byte, base int64, border int) {
	s := t.scanner
	filter, shift := s.filter, s.shift
	at := 0
	for ; at+8 <= len(b); at += step {
		gram := gramAt(b[at : at+8])
		bit := gramHash(gram) >> (shift % 64) // which tells the compiler that it is not too far
		if filter[bit/64]>>(bit%64)&1 != 0 {
			t.compare(b, at, gram, base, border)
		}
	}
	if at+gramSize <= len(b) {
		var eight [8]byte
		copy(eight[:], b[at:])
		t.compare(b, at, gramAt(eight[:]), base, border)
	}
}

// compare reports the patterns of which b has the gram at this position and all else around it.
func (t *Stream) compare(b []byte, at int, gram uint64, base int64, border int) {
	s := t.scanner
	bucket := gramHash(gram) >> (s.shift + sparsity)
	for i := s.first[bucket]; i < s.first[bucket+1]; i++ {
		if s.places[i].gram != gram {
			continue
		}
		p := &s.patterns[s.places[i].pattern]
		begin := at - int(s.places[i].offset)
		end := begin + len(p.bytes)
		if begin < 0 || end > len(b) || border > 0 && (begin >= border || end <= border) ||
			t.counts[p.needle] >= MaxReports || !bytes.Equal(b[begin:end], p.bytes) {
			continue
		}
		t.counts[p.needle]++
		t.report(Match{s.labels[p.needle], p.form, base + int64(begin)})
	}
}
