package inflate

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// What a Reader holds. A member of 1 MiB of content that cannot be compressed fits both.
const (
	inBytes    = 5 << 18
	maxContent = 1 << 20
	// firstWant is what a member is thought to take until one has been seen; more only saves a second try.
	firstWant = 512 << 10
)

// Reader reads the content of gzip files, member by member. The zero value is an empty file until Reset; buffers of
// 2.3 MB are made once. It reads ahead. Not safe for concurrent use.
//
// Truncation is io.ErrUnexpectedEOF, also that of an empty file; anything behind a member that is not a member is an
// error; errors of the source are returned as they are, behind all whole members before them.
type Reader struct {
	src    io.Reader
	srcErr error  // what src ended in, behind in[:w]
	in     []byte // in[r:w] is read and not decoded
	r, w   int
	want   int  // how many bytes the next member probably takes
	begun  bool // a member has been read

	decoder Decoder
	out     []byte
	rest    []byte // of out: what Read has not handed out
	err     error

	large bool // members are read by zr, because one did not fit
	zr    gzip.Reader
	br    bufio.Reader
}

// Reset makes the Reader begin with the first member of src. It reads nothing yet.
func (r *Reader) Reset(src io.Reader) {
	if r.in == nil {
		r.in = make([]byte, inBytes)
		r.out = make([]byte, 0, maxContent+outSlack)
	}
	r.src, r.srcErr, r.r, r.w = src, nil, 0, 0
	r.want, r.begun, r.large = firstWant, false, false
	r.rest, r.err = nil, nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		b, err := r.Next()
		if err != nil {
			return 0, err
		}
		r.rest = b
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Next returns what comes next, at least a byte and at most about 1 MiB: the rest of what Read began with, a member's
// content whose checksum was right, or a part of a larger member, which is not checked before its end. It is valid
// until the next call. The error is io.EOF at the end of the file.
func (r *Reader) Next() ([]byte, error) {
	if b := r.rest; len(b) > 0 {
		r.rest = nil
		return b, nil
	}
	for r.err == nil {
		var b []byte
		if r.large {
			b, r.err = r.nextLarge()
		} else {
			b, r.err = r.nextMember()
		}
		if len(b) > 0 {
			return b, nil
		}
	}
	return nil, r.err
}

// nextMember decodes a member, or finds that it is a large one and returns nothing.
func (r *Reader) nextMember() ([]byte, error) {
	if r.src == nil {
		return nil, io.ErrUnexpectedEOF
	}
	if r.w-r.r < r.want {
		r.fill()
	}
	if r.r == r.w && r.begun && r.srcErr != nil {
		return nil, r.srcErr
	}
	out, n, err := r.decoder.Member(r.out, r.in[r.r:r.w])
	if errors.Is(err, ErrShort) && r.srcErr == nil && r.w-r.r < len(r.in) {
		r.fill()
		out, n, err = r.decoder.Member(r.out, r.in[r.r:r.w])
	}
	switch {
	case err == nil:
		if size, content, ok := declared(r.in[r.r:r.w]); ok && (size != n || content != len(out)) {
			return nil, ErrCorrupt
		}
		r.r += n
		r.want = max(r.want, n+n/4)
		r.begun = true
		return out, nil
	case errors.Is(err, ErrShort) && r.srcErr != nil:
		return nil, noEOF(r.srcErr)
	case errors.Is(err, ErrShort), errors.Is(err, ErrLarge):
		if _, _, ok := declared(r.in[r.r:r.w]); ok {
			return nil, ErrCorrupt // who declares sizes writes members that fit
		}
		return nil, r.beginLarge()
	default:
		return nil, err
	}
}

// Skip passes over the next member without decoding it, if it declares its sizes (see Field) and has no more than most bytes of
// content. It returns how many that are; 0: Next has to read on. What was passed over is read from the source, and not checked.
func (r *Reader) Skip(most int64) (n int64, err error) {
	if r.src == nil || r.err != nil || r.large || len(r.rest) > 0 {
		return 0, nil //nolint:nilerr // Next tells of it
	}
	if r.w-r.r < headBytes {
		r.fill()
	}
	size, content, ok := declared(r.in[r.r:r.w])
	if !ok || int64(content) > most {
		return 0, nil
	}
	if size > r.w-r.r {
		r.fill()
	}
	if size > r.w-r.r {
		if r.srcErr == nil {
			return 0, ErrCorrupt // none that fits is so large
		}
		return 0, noEOF(r.srcErr)
	}
	r.r += size
	r.begun = true
	return int64(content), nil
}

// fill reads until the buffer is full or the source has ended.
func (r *Reader) fill() {
	r.w = copy(r.in, r.in[r.r:r.w])
	r.r = 0
	for empty := 0; r.w < len(r.in) && r.srcErr == nil; {
		var n int
		n, r.srcErr = r.src.Read(r.in[r.w:])
		r.w += n
		if empty++; n > 0 {
			empty = 0
		}
		if empty == 100 && r.srcErr == nil {
			r.srcErr = io.ErrNoProgress
		}
	}
}

// ended is a source that has ended.
type ended struct{ err error }

func (e ended) Read([]byte) (int, error) { return 0, e.err }

// beginLarge leaves the member that comes next, and all behind it, to klauspost's reader, which keeps a window.
func (r *Reader) beginLarge() error {
	r.large = true
	behind := r.src
	if r.srcErr != nil {
		behind = ended{r.srcErr}
	}
	r.br.Reset(io.MultiReader(bytes.NewReader(r.in[r.r:r.w]), behind))
	return r.beginMember()
}

// beginMember reads a member's header. It takes one at a time, because the end of a file within a later member's header
// can look to klauspost's reader like the end of the file.
func (r *Reader) beginMember() error {
	if err := r.zr.Reset(&r.br); err != nil {
		return noEOF(err)
	}
	r.zr.Multistream(false)
	return nil
}

// nextLarge reads on by zr. With an error there may be content before it.
func (r *Reader) nextLarge() ([]byte, error) {
	n, err := r.zr.Read(r.out[:maxContent])
	if errors.Is(err, io.EOF) {
		// The member is whole. Peek tells whether it is the last.
		if _, err = r.br.Peek(1); err == nil {
			err = r.beginMember()
		}
	}
	return r.out[:n], err
}

// noEOF is err for where a file may not end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
