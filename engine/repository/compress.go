package repository

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"maia-dr/engine/repository/inflate"
)

// listSegment is how much of a list one gzip member holds at most. Members compress at the same time, and cost one percent in
// size.
const listSegment = 128 << 10

// compressSmall returns gzip of what write produces, with headers that hold no time or name. A member of like with the same content
// is taken over; like may be anything.
func compressSmall(like []byte, write func(io.Writer) error) ([]byte, error) {
	w := &memberWriter{like: like, free: make(chan *gzip.Writer, runtime.GOMAXPROCS(0))}
	for range cap(w.free) {
		w.free <- nil
	}
	err := write(w)
	if len(w.raw) > 0 || len(w.members) == 0 {
		w.end()
	}
	w.group.Wait()
	for _, m := range w.members {
		err = errors.Join(err, m.err)
	}
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, m := range w.members {
		all = append(all, m.gz...)
	}
	return all, nil
}

// memberWriter makes gzip members of what is written to it, as many at a time as there are processors.
type memberWriter struct {
	raw     []byte
	members []*member
	like    []byte          // from the member at the place of the next one on
	decoder inflate.Decoder // of like, into content
	content []byte
	free    chan *gzip.Writer // nil: to be made
	group   sync.WaitGroup
}

type member struct {
	gz  []byte
	err error
}

// cutter is a writer that begins a new member when told to.
type cutter interface{ cut() }

func (w *memberWriter) cut() {
	if len(w.raw) > 0 {
		w.end()
	}
}

func (w *memberWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if w.raw == nil {
			w.raw = make([]byte, 0, listSegment)
		}
		k := min(listSegment-len(w.raw), len(p))
		w.raw = append(w.raw, p[:k]...)
		p = p[k:]
		if len(w.raw) == listSegment {
			w.end()
		}
	}
	return n, nil
}

// end makes a member of what there is, and waits for a processor if it is a new one.
func (w *memberWriter) end() {
	raw, m := w.raw, new(member)
	w.raw = nil
	w.members = append(w.members, m)
	if m.gz = w.known(raw); m.gz != nil {
		return
	}
	zw := <-w.free
	w.group.Go(func() {
		defer func() { w.free <- zw }()
		if zw == nil {
			if zw, m.err = gzip.NewWriterLevel(nil, gzip.BestCompression); m.err != nil {
				return
			}
		}
		var out bytes.Buffer
		zw.Reset(&out)
		zw.ModTime = time.Unix(0, 0) // none; the zero Time is one, of the year 1
		if _, m.err = zw.Write(raw); m.err == nil {
			m.err = zw.Close()
		}
		m.gz = out.Bytes()
	})
}

// known returns the member at this place of like if it holds just this.
func (w *memberWriter) known(raw []byte) []byte {
	if len(w.like) == 0 {
		return nil
	}
	if w.content == nil {
		w.content = make([]byte, 0, listSegment)
	}
	content, n, err := w.decoder.Member(w.content, w.like)
	if err != nil {
		w.like = nil
		return nil
	}
	gz := w.like[:n:n]
	w.like = w.like[n:]
	// What another program made may have the same content, and a name or a gigabyte of nothing besides.
	if !bytes.Equal(content, raw) || !bytes.HasPrefix(gz, bareHeader) || n > len(raw)+len(raw)/1000+64 {
		return nil
	}
	return gz
}

// bareHeader begins a gzip member without name, time, comment or extra field.
var bareHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0}

// decompress returns the content of a small gzip file; a bomb ends at limit bytes.
func decompress(b []byte, limit int64) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, ErrDamaged)
	}
	raw, err := io.ReadAll(io.LimitReader(zr, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = errors.New("too large")
	}
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, ErrDamaged)
	}
	return raw, nil
}
