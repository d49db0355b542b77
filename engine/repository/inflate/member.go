package inflate

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Errors of Member.
var (
	ErrShort   = errors.New("gzip member is cut off")
	ErrLarge   = errors.New("gzip member is larger than the buffer")
	ErrCorrupt = errors.New("gzip member is corrupt")
)

// Decoder decodes gzip members. The zero value is ready; it holds tables that are used again, about 20 kB. Not safe for
// concurrent use.
type Decoder struct {
	in  []byte
	ip  int    // the next byte of in
	bb  uint64 // input that is taken but not used, its first bit lowest
	nb  uint   // how many bits that is; between the parts of a block those above it are 0
	out []byte // as long as it may become
	op  int    // how much of it is written
	beg int    // where the member's content begins in it

	dynamic tables
	lengths [lengthSize]uint32
	lens    [maxLit + maxDist]uint8
}

// Member decodes the gzip member that src begins with and appends its content to dst, which is not made larger: what
// lies between its length and its capacity may be overwritten, also behind the content. It returns how many bytes of
// src the member took. ErrShort: src ends within the member. ErrLarge: the content does not fit. ErrCorrupt: it is no
// gzip member, or its content does not have the length and CRC-32 that it says. With an error, out is dst.
func (d *Decoder) Member(dst, src []byte) (out []byte, consumed int, err error) {
	head, err := header(src)
	if err != nil {
		return dst, 0, err
	}
	d.in, d.ip, d.bb, d.nb = src, head, 0, 0
	d.out, d.op, d.beg = dst[:cap(dst)], len(dst), len(dst)
	err = d.blocks()
	out, end := d.out[:d.op], d.ip
	d.in, d.out = nil, nil
	if err != nil {
		return dst, 0, err
	}
	if len(src)-end < 8 {
		return dst, 0, ErrShort
	}
	content := out[len(dst):]
	if binary.LittleEndian.Uint32(src[end:]) != crc32.ChecksumIEEE(content) ||
		binary.LittleEndian.Uint32(src[end+4:]) != uint32(len(content)) {
		return dst, 0, ErrCorrupt
	}
	return out, end + 8, nil
}

// The extra field (RFC 1952, section 2.3.1.1) in which a member declares its sizes, so that who needs nothing of it can pass
// over it: the subfield "MR" with two numbers of 32 bits, little-endian, the length of the member with its header and trailer and
// that of its content.
const (
	fieldLength = 12
	fieldAt     = 12                    // where it stands in a member that has no other before it
	headBytes   = fieldAt + fieldLength // as much as tells what a member declares
)

// Field returns the extra field for a writer of gzip, still without sizes: see Declare.
func Field() []byte { return []byte{'M', 'R', 8, 0, 0, 0, 0, 0, 0, 0, 0, 0} }

// Declare writes a member's sizes into its Field, which was the only extra field it was written with.
func Declare(member []byte, content int) {
	binary.LittleEndian.PutUint32(member[fieldAt+4:], uint32(len(member)))
	binary.LittleEndian.PutUint32(member[fieldAt+8:], uint32(content))
}

// declared returns the sizes that the member at the beginning of src declares. A member without content declares none.
func declared(src []byte) (size, content int, ok bool) {
	if len(src) < headBytes || src[0] != 0x1f || src[1] != 0x8b || src[3]&flagExtra == 0 || src[10] != fieldLength || src[11] != 0 ||
		src[12] != 'M' || src[13] != 'R' || src[14] != 8 || src[15] != 0 {
		return 0, 0, false
	}
	size, content = int(binary.LittleEndian.Uint32(src[fieldAt+4:])), int(binary.LittleEndian.Uint32(src[fieldAt+8:]))
	return size, content, size > headBytes && content > 0
}

// Flags of a header, and how long its strings may be with the zero at their end: as in compress/gzip.
const (
	flagHdrCrc  = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4
	maxString   = 512
)

// header returns the length of a member's header; see RFC 1952, section 2.3.
func header(src []byte) (int, error) {
	if len(src) < 10 {
		return 0, ErrShort
	}
	flags := src[3]
	if src[0] != 0x1f || src[1] != 0x8b || src[2] != 8 || flags>>5 != 0 {
		return 0, ErrCorrupt
	}
	n := 10
	if flags&flagExtra != 0 {
		if len(src)-n < 2 {
			return 0, ErrShort
		}
		n += 2 + int(binary.LittleEndian.Uint16(src[n:]))
		if len(src) < n {
			return 0, ErrShort
		}
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag == 0 {
			continue
		}
		end := n + maxString
		for {
			if n == end {
				return 0, ErrCorrupt
			}
			if n == len(src) {
				return 0, ErrShort
			}
			n++
			if src[n-1] == 0 {
				break
			}
		}
	}
	if flags&flagHdrCrc != 0 {
		if len(src)-n < 2 {
			return 0, ErrShort
		}
		if binary.LittleEndian.Uint16(src[n:]) != uint16(crc32.ChecksumIEEE(src[:n])) {
			return 0, ErrCorrupt
		}
		n += 2
	}
	return n, nil
}

// blocks decodes blocks to the last one, and then stands on the byte behind it.
func (d *Decoder) blocks() error {
	for last := false; !last; {
		if !d.need(3) {
			return ErrShort
		}
		last = d.take(1) == 1
		var err error
		switch d.take(2) {
		case 0:
			err = d.stored()
		case 1:
			err = d.symbols(fixed())
		case 2:
			if err = d.readTables(); err == nil {
				err = d.symbols(&d.dynamic)
			}
		default:
			err = ErrCorrupt
		}
		if err != nil {
			return err
		}
	}
	d.align()
	return nil
}

// need takes input until n bits are there, at most 56, and more where that is easy. It reports whether they are.
func (d *Decoder) need(n uint) bool {
	for d.nb < n {
		if d.ip == len(d.in) {
			return false
		}
		d.bb |= uint64(d.in[d.ip]) << d.nb
		d.ip++
		d.nb += 8
	}
	return true
}

// take uses n bits up, which are there.
func (d *Decoder) take(n uint) uint32 {
	v := uint32(d.bb & (1<<n - 1))
	d.bb >>= n
	d.nb -= n
	return v
}

// align goes to the next border of a byte that is not used, and gives whole bytes back.
func (d *Decoder) align() {
	d.ip -= int(d.nb / 8)
	d.bb, d.nb = 0, 0
}

// stored copies a block that is not compressed.
func (d *Decoder) stored() error {
	d.align()
	if len(d.in)-d.ip < 4 {
		return ErrShort
	}
	n := int(binary.LittleEndian.Uint16(d.in[d.ip:]))
	if n^0xffff != int(binary.LittleEndian.Uint16(d.in[d.ip+2:])) {
		return ErrCorrupt
	}
	d.ip += 4
	switch {
	case len(d.in)-d.ip < n:
		return ErrShort
	case len(d.out)-d.op < n:
		return ErrLarge
	}
	d.op += copy(d.out[d.op:], d.in[d.ip:d.ip+n])
	d.ip += n
	return nil
}

// lengthOrder is the order in which the lengths of the code of code lengths stand; RFC 1951, section 3.2.7.
var lengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readTables reads the codes that a block with codes of its own begins with.
func (d *Decoder) readTables() error {
	if !d.need(14) {
		return ErrShort
	}
	lits, dists, n := int(d.take(5))+257, int(d.take(5))+1, int(d.take(4))+4
	if lits > numLit || dists > numDist {
		return ErrCorrupt
	}
	var of [19]uint8
	for _, i := range lengthOrder[:n] {
		if !d.need(3) {
			return ErrShort
		}
		of[i] = uint8(d.take(3))
	}
	if !build(d.lengths[:], lengthBits, of[:], lengthEntries[:]) {
		return ErrCorrupt
	}
	lens := d.lens[:lits+dists]
	if err := d.readLengths(lens); err != nil {
		return err
	}
	t := &d.dynamic
	if !build(t.lit[:], litBits, lens[:lits], litEntries[:]) || !build(t.dist[:], distBits, lens[lits:], distEntries[:]) {
		return ErrCorrupt
	}
	pair(&t.lit)
	return nil
}

// readLengths reads the lengths of both codes, which run from the one into the other.
func (d *Decoder) readLengths(lens []uint8) error {
	for i := 0; i < len(lens); {
		// Near the end of the input there may be fewer bits than a code can have.
		d.need(lengthBits + 7)
		e := d.lengths[d.bb&(lengthSize-1)]
		if uint(e&bitsMask) > d.nb {
			return ErrShort
		}
		if e&flagOther != 0 {
			return ErrCorrupt
		}
		d.take(uint(e & bitsMask))
		symbol := uint8(e >> baseShift)
		if symbol < 16 {
			lens[i] = symbol
			i++
			continue
		}
		value, extra, rep := uint8(0), uint(3), 3
		switch symbol {
		case 16:
			if i == 0 {
				return ErrCorrupt
			}
			value, extra = lens[i-1], 2
		case 18:
			extra, rep = 7, 11
		}
		if extra > d.nb {
			return ErrShort
		}
		if rep += int(d.take(extra)); rep > len(lens)-i {
			return ErrCorrupt
		}
		for range rep {
			lens[i] = value
			i++
		}
	}
	return nil
}
