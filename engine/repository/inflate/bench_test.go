package inflate

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"

	"maia-dr/engine/fixture"
)

// samples are 16 MB of a ticket database, and what else a Maia consists of, one file after the other.
func samples(b *testing.B) map[string][]byte {
	b.Helper()
	f, err := fixture.Make(b.Context(), fixture.Options{Base: b.TempDir(), Size: fixture.Small, Seed: 1, LargeDatabase: 16 << 20})
	if err != nil {
		b.Fatal(err)
	}
	pages, err := os.ReadFile(filepath.Join(f.Root, fixture.TicketDB))
	if err != nil {
		b.Fatal(err)
	}
	var text []byte
	err = filepath.WalkDir(f.Root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || filepath.Base(path) == filepath.Base(fixture.TicketDB) {
			return err
		}
		content, err := os.ReadFile(path)
		text = append(text, content...)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return map[string][]byte{"pages": pages, "text": text}
}

// chunkOf compresses content as a chunk: in members of 1 MiB.
func chunkOf(tb testing.TB, content []byte, level int) []byte {
	tb.Helper()
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		tb.Fatal(err)
	}
	for len(content) > 0 {
		n := min(len(content), 1<<20)
		zw.Reset(&out)
		if _, err := zw.Write(content[:n]); err != nil {
			tb.Fatal(err)
		}
		if err := zw.Close(); err != nil {
			tb.Fatal(err)
		}
		content = content[n:]
	}
	return out.Bytes()
}

// BenchmarkMember decodes chunks; MB/s are of content.
func BenchmarkMember(b *testing.B) {
	for name, content := range samples(b) {
		chunk := chunkOf(b, content, 6)
		buf := make([]byte, 0, 256<<10)
		whole := func(b *testing.B, r io.Reader) {
			var n int64
			for {
				k, err := r.Read(buf[:cap(buf)])
				n += int64(k)
				if err == io.EOF {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			if n != int64(len(content)) {
				b.Fatalf("%d bytes", n)
			}
		}
		run := func(decoder string, f func(b *testing.B)) {
			b.Run("data="+name+"/decoder="+decoder, func(b *testing.B) {
				b.SetBytes(int64(len(content)))
				b.ReportAllocs()
				for b.Loop() {
					f(b)
				}
			})
		}
		var d Decoder
		out := make([]byte, 0, maxContent+outSlack)
		run("inflate", func(b *testing.B) {
			for rest := chunk; len(rest) > 0; {
				_, n, err := d.Member(out, rest)
				if err != nil {
					b.Fatal(err)
				}
				rest = rest[n:]
			}
		})
		var r Reader
		run("reader", func(b *testing.B) {
			r.Reset(bytes.NewReader(chunk))
			whole(b, &r)
		})
		var zr gzip.Reader
		run("klauspost", func(b *testing.B) {
			if err := zr.Reset(bytes.NewReader(chunk)); err != nil {
				b.Fatal(err)
			}
			whole(b, &zr)
		})
		var sr stdgzip.Reader
		run("std", func(b *testing.B) {
			if err := sr.Reset(bytes.NewReader(chunk)); err != nil {
				b.Fatal(err)
			}
			whole(b, &sr)
		})
	}
}
