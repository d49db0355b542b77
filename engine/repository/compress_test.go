package repository

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"testing"

	"maia-dr/engine/repository/inflate"
)

// TestListsAreTakenOver: what is the same in an earlier list is not compressed again, and nothing of it is believed that is not.
func TestListsAreTakenOver(t *testing.T) {
	lines := func(n int, edited ...int) (raw []byte) {
		for i := range n {
			if raw = fmt.Appendf(raw, "%d %x\n", i, SumHash(fmt.Append(nil, i))); slices.Contains(edited, i) {
				raw[len(raw)-2] ^= 1
			}
		}
		return raw
	}
	compress := func(like, head, raw []byte) []byte {
		t.Helper()
		gz, err := compressSmall(like, func(w io.Writer) error {
			if _, err := w.Write(head); err != nil {
				return err
			}
			w.(cutter).cut()
			_, err := w.Write(raw)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want := append(slices.Clone(head), raw...)
		if got, err := decompress(gz, int64(len(want))); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("it holds something else: %v", err)
		}
		return gz
	}
	// stored has the same members, but stored: what is taken from it can be told from what is made.
	stored := func(raws ...[]byte) (gz []byte) {
		for _, raw := range raws {
			var out bytes.Buffer
			zw, err := gzip.NewWriterLevel(&out, gzip.NoCompression)
			if err != nil {
				t.Fatal(err)
			}
			zw.Write(raw)
			zw.Close()
			gz = append(gz, out.Bytes()...)
		}
		return gz
	}
	// What is made here can be taken over.
	for gz := compress(nil, []byte("head"), lines(2500)); len(gz) > 0; {
		_, n, err := new(inflate.Decoder).Member(make([]byte, 0, listSegment), gz)
		if err != nil || !bytes.HasPrefix(gz, bareHeader) {
			t.Fatalf("a member begins with %x: %v", gz[:10], err)
		}
		gz = gz[n:]
	}
	// taken returns which members of gz are stored.
	taken := func(gz []byte) (is []bool) {
		var d inflate.Decoder
		for len(gz) > 0 {
			content, n, err := d.Member(make([]byte, 0, listSegment), gz)
			if err != nil {
				t.Fatal(err)
			}
			is = append(is, n > len(content))
			gz = gz[n:]
		}
		return is
	}
	const n = 2500
	raw := lines(n)
	if len(raw) < 2*listSegment || len(raw) > 3*listSegment {
		t.Fatalf("%d bytes", len(raw))
	}
	first, second, third := raw[:listSegment], raw[listSegment:2*listSegment], raw[2*listSegment:]
	head := bytes.Repeat([]byte("head\n"), 100)
	old := stored(head, first, second, third)
	// The head as another program may have written it: with a name, and behind empty blocks.
	plain := stored(head)
	named := slices.Concat(plain[:3], []byte{8}, plain[4:10], []byte("name\x00"), plain[10:])
	padded := slices.Concat(plain[:10], bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 1000), plain[10:])
	var d inflate.Decoder
	for _, gz := range [][]byte{named, padded} {
		if content, n, err := d.Member(make([]byte, 0, listSegment), gz); err != nil || n != len(gz) || !bytes.Equal(content, head) {
			t.Fatalf("the sample is no gzip of the head: %v", err)
		}
	}
	for what, c := range map[string]struct {
		like, head, raw []byte
		want            []bool
	}{
		"nothing":             {nil, head, raw, []bool{false, false, false, false}},
		"the same":            {old, head, raw, []bool{true, true, true, true}},
		"another head":        {old, bytes.Repeat([]byte("other\n"), 100), raw, []bool{false, true, true, true}},
		"an edited line":      {old, head, lines(n, n/2), []bool{true, true, false, true}},
		"fewer lines":         {old, head, lines(n / 5), []bool{true, false}},
		"more lines":          {old, head, lines(2 * n), []bool{true, true, true, false, false, false, false}},
		"cut off":             {old[:len(old)-9], head, raw, []bool{true, true, true, false}},
		"no gzip":             {raw, head, raw, []bool{false, false, false, false}},
		"damaged in a member": {bytes.Replace(old, first[:100], first[1:101], 1), head, raw, []bool{true, false, false, false}},
		"a larger member":     {stored(head, raw), head, raw, []bool{true, false, false, false}},
		"an empty member":     {stored(head, nil, first, second, third), head, raw, []bool{true, false, false, false}},
		"a name":              {append(slices.Clone(named), stored(first, second, third)...), head, raw, []bool{false, true, true, true}},
		"padding":             {append(slices.Clone(padded), stored(first, second, third)...), head, raw, []bool{false, true, true, true}},
	} {
		if got := taken(compress(c.like, c.head, c.raw)); !slices.Equal(got, c.want) {
			t.Errorf("%s: taken over: %v, want %v", what, got, c.want)
		}
	}
}
