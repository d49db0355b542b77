package repository

import (
	"fmt"
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
	var out []int
	for _, e := range x {
		if n := len(out); n == 0 || out[n-1] != e.Chunk {
			out = append(out, e.Chunk)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
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
	for part := range strings.SplitSeq(s, ",") {
		n, rest, ok1 := strings.Cut(part, " ")
		off, length, ok2 := strings.Cut(rest, " ")
		if !ok1 || !ok2 {
			return fmt.Errorf("not an extent: %.60q", part)
		}
		e, err := parseExtent(n, off, length)
		if err != nil {
			return err
		}
		out = append(out, e)
	}
	*x = out
	return nil
}

func parseExtent(n, off, length string) (Extent, error) {
	var e Extent
	c, err := parseCanonical(n)
	if err == nil {
		e.Chunk = int(c)
		e.Offset, err = parseCanonical(off)
	}
	if err == nil {
		e.Length, err = parseCanonical(length)
	}
	if err != nil {
		return Extent{}, fmt.Errorf("not an extent: %w", err)
	}
	if e.Length == 0 || e.Offset+e.Length > MaxChunkBytes || e.Offset > MaxChunkBytes {
		return Extent{}, fmt.Errorf("extent outside its chunk: %s %s %s", n, off, length)
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
