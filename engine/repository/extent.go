package repository

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Extent is a run of a stream's bytes inside an uncompressed chunk. Chunk counts in the backup's own list of chunks.
type Extent struct {
	Chunk          int
	Offset, Length int64
}

// Extents are a stream's bytes in order. In JSON they are one string, "chunk offset length,chunk offset length,…":
// a manifest holds tens of thousands of them.
type Extents []Extent

// Add appends a run and merges it with the one before it where they touch.
func (x Extents) Add(e Extent) Extents {
	if e.Length == 0 {
		return x
	}
	if n := len(x); n > 0 {
		last := &x[n-1]
		if last.Chunk == e.Chunk && last.Offset+last.Length == e.Offset {
			last.Length += e.Length
			return x
		}
	}
	return append(x, e)
}

// Size returns the stream's length in bytes.
func (x Extents) Size() int64 {
	var n int64
	for _, e := range x {
		n += e.Length
	}
	return n
}

// Chunks returns the numbers of the chunks, ascending, each once; nil for no extents.
func (x Extents) Chunks() []int {
	top := -1
	for _, e := range x {
		top = max(top, e.Chunk)
	}
	var out []int
	if top > 2*len(x) {
		for _, e := range x {
			out = append(out, e.Chunk)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	// Thousands of extents in some dozens of chunks: sorting them would take ten times as long.
	used := make([]bool, top+1)
	for _, e := range x {
		used[e.Chunk] = true
	}
	for i, u := range used {
		if u {
			out = append(out, i)
		}
	}
	return out
}

// MarshalText implements encoding.TextMarshaler.
func (x Extents) MarshalText() ([]byte, error) {
	b := make([]byte, 0, len(x)*22)
	for i, e := range x {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(e.Chunk), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, e.Offset, 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, e.Length, 10)
	}
	return b, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (x *Extents) UnmarshalText(b []byte) error {
	s := string(b)
	*x = nil
	if s == "" {
		return nil
	}
	// The shortest extent has five characters.
	out := make(Extents, 0, min(strings.Count(s, ","), len(s)/5)+1)
	for more := true; more; {
		var part string
		part, s, more = strings.Cut(s, ",")
		e, err := parseExtent(part)
		if err != nil {
			return err
		}
		out = append(out, e)
	}
	*x = out
	return nil
}

// parseExtent reads "chunk offset length", each number in its one spelling: digits, no leading zero.
func parseExtent(s string) (Extent, error) {
	var v [3]int64
	n := 0
	for i := range v {
		if i > 0 {
			if n == len(s) || s[n] != ' ' {
				return Extent{}, fmt.Errorf("not an extent: %.60q", s)
			}
			n++
		}
		first := n
		for ; n < len(s) && s[n]-'0' <= 9; n++ {
			if v[i] = v[i]*10 + int64(s[n]-'0'); v[i] > math.MaxInt32 {
				return Extent{}, fmt.Errorf("extent outside its chunk: %.60q", s)
			}
		}
		if n == first || s[first] == '0' && n > first+1 {
			return Extent{}, fmt.Errorf("not an extent: %.60q", s)
		}
	}
	if n < len(s) {
		return Extent{}, fmt.Errorf("not an extent: %.60q", s)
	}
	e := Extent{Chunk: int(v[0]), Offset: v[1], Length: v[2]}
	if e.Length == 0 || e.Offset+e.Length > MaxChunkBytes || e.Offset > MaxChunkBytes {
		return Extent{}, fmt.Errorf("extent outside its chunk: %.60q", s)
	}
	return e, nil
}

// parseCanonical reads a number in its one spelling: digits, no sign, no leading zero.
func parseCanonical(s string) (int64, error) {
	v, err := strconv.ParseUint(s, 10, 61)
	if err != nil || len(s) > 1 && s[0] == '0' {
		return 0, fmt.Errorf("not a number: %.30q", s)
	}
	return int64(v), nil
}

// Locator finds parts of a stream quickly. It refers to the extents it was made from.
type Locator struct {
	extents Extents
	start   []int64 // where each extent begins in the stream
	size    int64
}

// NewLocator prepares a stream for Slice.
func NewLocator(x Extents) *Locator {
	l := &Locator{extents: x, start: make([]int64, len(x))}
	for i, e := range x {
		l.start[i] = l.size
		l.size += e.Length
	}
	return l
}

// Slice returns the extents of the stream's bytes from off, length of them.
func (l *Locator) Slice(off, length int64) (Extents, error) {
	if off < 0 || length < 0 || off > l.size || length > l.size-off {
		return nil, fmt.Errorf("%d bytes at %d lie outside the stream of %d: %w", length, off, l.size, ErrDamaged)
	}
	i, found := slices.BinarySearch(l.start, off)
	if !found {
		i--
	}
	var out Extents
	for ; length > 0; i++ {
		e := l.extents[i]
		skip := off - l.start[i]
		n := min(e.Length-skip, length)
		out = append(out, Extent{Chunk: e.Chunk, Offset: e.Offset + skip, Length: n})
		off += n
		length -= n
	}
	return out, nil
}
