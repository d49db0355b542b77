package inflate

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// fuzzedMembers are what FuzzMember begins with.
func fuzzedMembers(tb testing.TB) (out [][]byte) {
	tb.Helper()
	sized := declaring(tb, []byte("content with its sizes"))
	lying := bytes.Clone(sized)
	lying[fieldAt+8]++
	for _, b := range append(slices.Collect(maps.Values(smallMembers(tb))), sized, lying) {
		out = append(out, b, b[:len(b)/2], append(bytes.Clone(b), b...), append(bytes.Clone(b), "garbage garbage"...))
	}
	return out
}

// The targets have seeds, good and bad ones.
func TestSeeds(t *testing.T) {
	var c checker
	var r Reader
	good, bad := 0, 0
	for _, b := range fuzzedMembers(t) {
		if c.checkFile(t, &r, b) {
			good++
		} else {
			bad++
		}
	}
	if good == 0 || bad == 0 {
		t.Errorf("%d good members, %d bad ones", good, bad)
	}
	good, bad = 0, 0
	for _, s := range streams(t) {
		if s.good {
			good++
		} else {
			bad++
		}
	}
	if good == 0 || bad == 0 {
		t.Errorf("%d good streams, %d bad ones", good, bad)
	}
}

// Any file is read as the standard library reads it.
func FuzzMember(f *testing.F) {
	for _, b := range fuzzedMembers(f) {
		f.Add(b)
	}
	var c checker
	var r Reader
	f.Fuzz(func(t *testing.T, b []byte) {
		c.check(t, b)
		c.checkFile(t, &r, b)
	})
}

// The input is a deflate stream: with a checksum that fits, or nothing would get past it.
func FuzzStream(f *testing.F) {
	for _, s := range streams(f) {
		if len(s.b) < 4096 {
			f.Add(s.b)
		}
	}
	var c checker
	f.Fuzz(func(t *testing.T, b []byte) { c.check(t, c.wrap(b)) })
}

// Whatever is compressed comes back, at every level.
func FuzzRoundTrip(f *testing.F) {
	for _, content := range kinds(500) {
		f.Add(content, 6, 3)
	}
	f.Add([]byte{}, 0, 0)
	var c checker
	f.Fuzz(func(t *testing.T, content []byte, level, times int) {
		level = gzip.StatelessCompression + int(uint(level)%uint(gzip.BestCompression-gzip.StatelessCompression+1))
		content = bytes.Repeat(content, 1+int(uint(times)%100))
		content = content[:min(len(content), maxContent)]
		if !c.check(t, memberOf(t, content, level)) {
			t.Fatalf("%d bytes at level %d are refused", len(content), level)
		}
	})
}
