package inflate

import (
	"encoding/binary"
	"slices"
)

// What the fast loop wants to have left: a round takes 8 bytes of input twice and goes on by at most 7 each time; it
// writes two literals and a match of 258 bytes, this by words, so that up to 15 bytes behind it are touched.
const (
	inSlack  = 16
	outSlack = 288
)

// symbols decodes the symbols of a block up to its end.
func (d *Decoder) symbols(t *tables) error {
	if end, err := d.fast(t); end || err != nil {
		return err
	}
	return d.careful(t)
}

// fast decodes symbols while both ends are far, and reports whether the block has ended. It is one long function because
// what it works on has to stay in registers. The next entry is looked up as soon as its bits are known, before more input
// is taken: each symbol waits for the one before it, and there is nothing else to wait for.
func (d *Decoder) fast(t *tables) (end bool, err error) {
	// out begins with the member, so that op is as far as a distance may reach.
	in, out := slices.Clip(d.in), d.out[d.beg:len(d.out):len(d.out)]
	d.need(litBits)
	ip, op := d.ip, d.op-d.beg
	bb, nb := d.bb, uint64(d.nb) // of nb the lowest six bits count
	e := t.lit[bb&(1<<litBits-1)]
	for ip <= len(in)-inSlack && op <= len(out)-outSlack {
		// 56 bits or more. Those above are there already, and will be again.
		bb |= load64(in, ip) << (nb & bitsMask)
		ip += int(^nb >> 3 & 7)
		nb |= 56
		if e&flagLiteral != 0 {
			put16(out, op, uint16(e>>baseShift))
			op += int(e >> codeShift & 3)
			bb >>= e & bitsMask
			nb -= uint64(e)
			e = t.lit[bb&(1<<litBits-1)]
			if e&flagLiteral != 0 {
				put16(out, op, uint16(e>>baseShift))
				op += int(e >> codeShift & 3)
				bb >>= e & bitsMask
				nb -= uint64(e)
				e = t.lit[bb&(1<<litBits-1)]
				continue
			}
		}
		// 45 bits at least: an entry of the first look takes eleven.
		if e&flagOther != 0 {
			if e&flagSub != 0 {
				bb >>= litBits
				nb -= litBits
				e = t.lit[(e>>baseShift+uint32(bb)&(1<<(e>>codeShift&codeMask)-1))&(litSize-1)]
				if e&flagLiteral != 0 {
					out[op] = byte(e >> baseShift)
					op++
					bb >>= e & bitsMask
					nb -= uint64(e)
					e = t.lit[bb&(1<<litBits-1)]
					continue
				}
			}
			if e&flagEnd != 0 {
				bb >>= e & bitsMask
				nb -= uint64(e)
				end = true
				break
			}
			if e&flagOther != 0 {
				return false, ErrCorrupt
			}
		}
		length := int(e>>baseShift) + int(bb&(1<<(e&bitsMask)-1)>>(e>>codeShift&codeMask))
		bb >>= e & bitsMask
		nb -= uint64(e)

		// 25 bits at least: a length takes twenty. The first look needs nine, all of a distance 28.
		e = t.dist[bb&(1<<distBits-1)]
		bb |= load64(in, ip) << (nb & bitsMask)
		ip += int(^nb >> 3 & 7)
		nb |= 56
		if e&flagOther != 0 {
			if e&flagSub == 0 {
				return false, ErrCorrupt
			}
			bb >>= distBits
			nb -= distBits
			// A subtable has distances only: the fixed code, which has symbols that mean none, needs no subtable.
			e = t.dist[(e>>baseShift+uint32(bb)&(1<<(e>>codeShift&codeMask)-1))&(distSize-1)]
		}
		distance := int(e>>baseShift) + int(bb&(1<<(e&bitsMask)-1)>>(e>>codeShift&codeMask))
		bb >>= e & bitsMask
		nb -= uint64(e)
		e = t.lit[bb&(1<<litBits-1)] // 28 bits at least
		if distance > op {
			return false, ErrCorrupt
		}
		from, to := op-distance, op+length
		switch {
		case distance >= 8:
			put64(out, op, load64(out, from))
			put64(out, op+8, load64(out, from+8))
			if length <= 16 {
				break
			}
			if distance >= length && length > 48 {
				copy(out[op:to], out[from:])
				break
			}
			for op += 16; op < to; op += 8 {
				put64(out, op, load64(out, op-distance))
			}
		case distance == 1:
			same := uint64(out[from]) * 0x0101010101010101
			for ; op < to; op += 8 {
				put64(out, op, same)
			}
		default:
			// Of each word, as many bytes are right as the match goes back.
			for ; op < to; op += distance {
				put64(out, op, load64(out, op-distance))
			}
		}
		op = to
	}
	nb &= bitsMask
	d.ip, d.op, d.bb, d.nb = ip, d.beg+op, bb&(1<<nb-1), uint(nb)
	return end, nil
}

// careful decodes symbols near an end up to the end of the block.
func (d *Decoder) careful(t *tables) error {
	for {
		d.need(maxBits + 5 + maxBits + 13)
		e, v, ok := d.symbol(t.lit[:], litBits)
		switch {
		case !ok:
			return ErrShort
		case e&flagLiteral != 0:
			n := int(e >> codeShift & 3)
			if len(d.out)-d.op < n {
				return ErrLarge
			}
			for range n {
				d.out[d.op] = byte(v)
				d.op++
				v >>= 8
			}
			continue
		case e&flagEnd != 0:
			return nil
		case e&flagOther != 0:
			return ErrCorrupt
		}
		length := v
		e, distance, ok := d.symbol(t.dist[:], distBits)
		switch {
		case !ok:
			return ErrShort
		case e&flagOther != 0, distance > d.op-d.beg:
			return ErrCorrupt
		case length > len(d.out)-d.op:
			return ErrLarge
		}
		for range length {
			d.out[d.op] = d.out[d.op-distance]
			d.op++
		}
	}
}

// symbol uses up a symbol and its extra bits, and returns its entry and its value: the literals, the length or the
// distance. It reports whether there was enough input. That ends in a checksum, so that a member that is whole
// never has too little.
func (d *Decoder) symbol(table []uint32, tableBits uint) (e uint32, v int, ok bool) {
	e = table[d.bb&(1<<tableBits-1)]
	if e&flagSub != 0 {
		if d.nb < tableBits {
			return 0, 0, false
		}
		d.take(tableBits)
		e = table[e>>baseShift+uint32(d.bb)&(1<<(e>>codeShift&codeMask)-1)]
	}
	n := uint(e & bitsMask)
	if d.nb < n {
		return 0, 0, false
	}
	v = int(e >> baseShift)
	if e&(flagLiteral|flagOther) == 0 {
		v += int(d.bb & (1<<n - 1) >> (e >> codeShift & codeMask))
	}
	d.take(n)
	return e, v, true
}

// The accessors of the fast loop. Their third index tells the compiler that the slice is not empty at its end, which
// saves it a mask.

func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }

func put64(b []byte, i int, v uint64) { binary.LittleEndian.PutUint64(b[i:i+8:i+8], v) }

func put16(b []byte, i int, v uint16) { binary.LittleEndian.PutUint16(b[i:i+2:i+2], v) }
