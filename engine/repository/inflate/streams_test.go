package inflate

import (
	"math/bits"
	"testing"
)

// bitWriter writes a deflate stream by hand.
type bitWriter struct {
	b []byte
	n uint // bits in b
}

// bits writes the n lowest bits of v, the lowest first.
func (w *bitWriter) bits(v uint32, n uint) {
	for i := range n {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
}

// block begins a block.
func (w *bitWriter) block(last bool, kind uint32) {
	v := kind << 1
	if last {
		v |= 1
	}
	w.bits(v, 3)
}

// stored writes a whole block that is not compressed.
func (w *bitWriter) stored(last bool, content []byte) {
	w.block(last, 0)
	w.n = uint(len(w.b)) * 8
	n := len(content)
	w.b = append(append(w.b, byte(n), byte(n>>8), byte(^n), byte(^n>>8)), content...)
	w.n = uint(len(w.b)) * 8
}

// code is a Huffman code: by symbol, how many bits.
type code []uint8

// put writes a symbol, also of a code that is not one.
func (w *bitWriter) put(c code, symbol int) {
	next := uint32(0)
	for n := uint8(1); n <= maxBits; n++ {
		for s, m := range c {
			if m != n {
				continue
			}
			if s == symbol {
				w.bits(bits.Reverse32(next)>>(32-n), uint(n))
				return
			}
			next++
		}
		next <<= 1
	}
	panic("no such symbol")
}

// plain is a code of code lengths in which each of 0 to 15 has four bits.
var plain = code{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4}

// dynamic begins a block with these codes; their lengths are written one by one.
func (w *bitWriter) dynamic(last bool, lit, dist code) {
	w.head(last, len(lit), len(dist), plain)
	for _, n := range lit {
		w.put(plain, int(n))
	}
	for _, n := range dist {
		w.put(plain, int(n))
	}
}

// head begins a block with so many lengths in a code of theirs.
func (w *bitWriter) head(last bool, lits, dists int, of code) {
	w.block(last, 2)
	w.bits(uint32(lits-257), 5)
	w.bits(uint32(dists-1), 5)
	w.bits(19-4, 4)
	for _, i := range lengthOrder {
		n := uint8(0)
		if int(i) < len(of) {
			n = of[i]
		}
		w.bits(uint32(n), 3)
	}
}

// symbols is a code in which these symbols have so many bits.
func symbols(n int, lens map[int]uint8) code {
	c := make(code, n)
	for s, m := range lens {
		c[s] = m
	}
	return c
}

// fixedCode is the code of blocks of type 1.
func fixedCode() (lit, dist code) {
	lit, dist = make(code, 288), make(code, 32)
	for i := range lit {
		lit[i] = 8
		if i >= 144 && i < 256 {
			lit[i] = 9
		} else if i >= 256 && i < 280 {
			lit[i] = 7
		}
	}
	for i := range dist {
		dist[i] = 5
	}
	return lit, dist
}

// stream is a deflate stream that compressors hardly write.
type stream struct {
	good bool
	b    []byte
}

// streams are made by hand.
func streams(tb testing.TB) map[string]stream {
	tb.Helper()
	out := make(map[string]stream)
	add := func(name string, good bool, f func(w *bitWriter)) {
		var w bitWriter
		f(&w)
		out[name] = stream{good, w.b}
	}
	lit, dist := fixedCode()
	window := make([]byte, 32768)
	for i := range window {
		window[i] = byte(i * i >> 7)
	}
	addBlocks(add, lit)
	addMatches(add, lit, dist, window)
	addCodes(add)
	addBadCodes(add)
	return out
}

type adder func(name string, good bool, f func(w *bitWriter))

func addBlocks(add adder, lit code) {
	add("nothing", false, func(*bitWriter) {})
	add("fixed, empty", true, func(w *bitWriter) { w.block(true, 1); w.put(lit, 256) })
	add("stored, empty", true, func(w *bitWriter) { w.stored(true, nil) })
	add("many empty blocks", true, func(w *bitWriter) {
		for range 50 {
			w.block(false, 1)
			w.put(lit, 256)
			w.stored(false, nil)
			w.dynamic(false, symbols(257, map[int]uint8{256: 1}), code{0})
			w.put(symbols(257, map[int]uint8{256: 1}), 256)
		}
		w.stored(true, []byte("end"))
	})
	add("stored, two", true, func(w *bitWriter) { w.stored(false, []byte("one")); w.stored(true, make([]byte, 65535)) })
	add("stored, length and complement differ", false, func(w *bitWriter) { w.stored(true, []byte("x")); w.b[3] ^= 1 })
	add("stored, not all there", false, func(w *bitWriter) { w.stored(true, []byte("xyz")); w.b = w.b[:len(w.b)-1] })
	add("reserved type", false, func(w *bitWriter) { w.block(true, 3); w.bits(0, 64) })
	add("last block missing", false, func(w *bitWriter) { w.stored(false, []byte("xyz")) })
	add("padding of ones", true, func(w *bitWriter) { w.block(true, 1); w.put(lit, 256); w.bits(63, 6) })
	add("all literals", true, func(w *bitWriter) {
		w.block(true, 1)
		for i := range 2000 {
			w.put(lit, i*7%256)
		}
		w.put(lit, 256)
	})
}

// addMatches adds blocks of the fixed code with matches.
func addMatches(add adder, lit, dist code, window []byte) {
	match := func(w *bitWriter, symbol int, extra uint32, n uint, distSymbol int, distExtra uint32, m uint) {
		w.put(lit, symbol)
		w.bits(extra, n)
		w.put(dist, distSymbol)
		w.bits(distExtra, m)
	}
	add("every distance below 33, every length", true, func(w *bitWriter) {
		w.stored(false, window[:64])
		w.block(true, 1)
		for i := range 28 {
			for j := range 10 {
				extra, distExtra := uint(lengthEntry(i)), uint(distEntries[j]&bitsMask)
				match(w, 257+i, uint32(i*j)&(1<<extra-1), extra, j, uint32(i)&(1<<distExtra-1), distExtra)
			}
		}
		w.put(lit, 256)
	})
	add("258 in both spellings", true, func(w *bitWriter) {
		w.block(true, 1)
		w.put(lit, 'a')
		w.put(lit, 'b')
		match(w, 285, 0, 0, 0, 0, 0)
		match(w, 284, 31, 5, 1, 0, 0)
		match(w, 285, 0, 0, 4, 1, 1)
		w.put(lit, 256)
	})
	add("32768 back", true, func(w *bitWriter) {
		w.stored(false, window)
		w.block(true, 1)
		for range 5 {
			match(w, 285, 0, 0, 29, 8191, 13)
		}
		w.put(lit, 256)
	})
	add("32768 back, but one byte is missing", false, func(w *bitWriter) {
		w.stored(false, window[1:])
		w.block(true, 1)
		match(w, 285, 0, 0, 29, 8191, 13)
		w.put(lit, 256)
	})
	add("match before anything", false, func(w *bitWriter) {
		w.block(true, 1)
		match(w, 257, 0, 0, 0, 0, 0)
		w.put(lit, 256)
		w.bits(0, 1000)
	})
	for _, symbol := range []int{286, 287} {
		add("fixed, length "+string(rune('0'+symbol-280)), false, func(w *bitWriter) {
			w.stored(false, window)
			w.block(true, 1)
			match(w, symbol, 0, 0, 0, 0, 0)
			w.put(lit, 256)
			w.bits(0, 1000)
		})
	}
	for _, symbol := range []int{30, 31} {
		add("fixed, distance "+string(rune('0'+symbol-30)), false, func(w *bitWriter) {
			w.stored(false, window)
			w.block(true, 1)
			match(w, 257, 0, 0, symbol, 0, 13)
			w.put(lit, 256)
			w.bits(0, 1000)
		})
	}
}

// lengthEntry is how many extra bits the length has that is the i-th.
func lengthEntry(i int) uint32 { return litEntries[257+i] & bitsMask }

// addCodes adds blocks with unusual codes.
func addCodes(add adder) {
	few := symbols(286, map[int]uint8{'a': 2, 'b': 2, 256: 2, 257: 3, 285: 3})
	add("one distance", true, func(w *bitWriter) {
		w.dynamic(true, few, code{1})
		for range 300 {
			w.put(few, 'a')
			w.put(few, 285)
			w.put(code{1}, 0)
			w.put(few, 'b')
		}
		w.put(few, 256)
	})
	add("one distance, and the bit that means nothing", false, func(w *bitWriter) {
		w.dynamic(true, few, code{1})
		w.put(few, 'a')
		w.put(few, 257)
		w.bits(1, 1)
		w.put(few, 256)
		w.bits(0, 1000)
	})
	add("no distance", true, func(w *bitWriter) {
		w.dynamic(true, few, code{0})
		for i := range 900 {
			w.put(few, 'a'+i%2)
		}
		w.put(few, 256)
	})
	add("no distance, and a match", false, func(w *bitWriter) {
		w.dynamic(true, few, code{0})
		w.put(few, 'a')
		w.put(few, 257)
		w.put(few, 256)
		w.bits(0, 1000)
	})
	add("only the end", true, func(w *bitWriter) {
		c := symbols(257, map[int]uint8{256: 1})
		w.dynamic(true, c, code{0})
		w.put(c, 256)
	})
	add("only the end, and the bit that means nothing", false, func(w *bitWriter) {
		w.dynamic(true, symbols(257, map[int]uint8{256: 1}), code{0})
		w.bits(1, 1)
		w.bits(0, 1000)
	})
	add("no end", false, func(w *bitWriter) {
		c := symbols(257, map[int]uint8{'a': 1, 'b': 1})
		w.dynamic(true, c, code{0})
		w.bits(0xf0f0f0f, 32)
		w.bits(0, 1000)
	})
	// A code of each length to 15 bits, and one more, for lengths and for distances.
	lens, back := map[int]uint8{256: 15, 285: 15}, make(code, 16)
	for i := range 14 {
		lens[60+i], back[i] = uint8(i+1), uint8(i+1)
	}
	back[14], back[15] = 15, 15
	deep := symbols(286, lens)
	add("15 bits", true, func(w *bitWriter) {
		w.dynamic(true, deep, back)
		for i := range 1000 {
			w.put(deep, 60+i%14)
			if i >= 200 && i%20 == 0 {
				w.put(deep, 285)
				j := i / 20 % 16
				w.put(back, j)
				w.bits(0, uint(distEntries[j]&bitsMask))
			}
		}
		w.put(deep, 256)
	})
	add("15 bits, short", true, func(w *bitWriter) {
		w.stored(false, make([]byte, 200))
		w.dynamic(true, deep, back)
		for i := range 4 {
			w.put(deep, 70+i)
			w.put(deep, 285)
			w.put(back, 12+i)
			w.bits(0, uint(distEntries[12+i]&bitsMask))
		}
		w.put(deep, 256)
	})
	add("as many long codes as there can be", true, func(w *bitWriter) {
		c, back := make(code, 286), make(code, 30)
		for i := range c {
			switch {
			case i < 6:
				c[i] = uint8(i + 1)
			case i < 6+232:
				c[i] = 14
			default:
				c[i] = 15
			}
		}
		for i := range back {
			switch {
			case i < 9:
				back[i] = uint8(i + 1)
			case i < 9+11:
				back[i] = 13
			default:
				back[i] = 14
			}
		}
		w.dynamic(true, c, back)
		for i := range 3000 {
			w.put(c, i%256)
			if i > 600 && i%9 == 0 {
				w.put(c, 257+i%8)
				j := i % 16
				w.put(back, j)
				w.bits(uint32(i)&(1<<(distEntries[j]&bitsMask)-1), uint(distEntries[j]&bitsMask))
			}
		}
		w.put(c, 256)
	})
}

// addBadCodes adds codes that must be refused, and some beside them.
func addBadCodes(add adder) {
	block := func(lit, dist code) func(w *bitWriter) {
		return func(w *bitWriter) {
			w.dynamic(true, lit, dist)
			if lit[256] != 0 {
				w.put(lit, 256)
			}
			w.bits(0, 1000)
		}
	}
	pair := map[int]uint8{'a': 1, 256: 1}
	add("complete", true, block(symbols(257, pair), code{2, 2, 2, 2}))
	add("lengths over-subscribed", false, block(symbols(257, map[int]uint8{'a': 1, 'b': 1, 256: 1}), code{1}))
	add("lengths incomplete", false, block(symbols(257, map[int]uint8{'a': 2, 256: 1}), code{1}))
	add("one symbol of two bits", false, block(symbols(257, map[int]uint8{256: 2}), code{1}))
	add("distances over-subscribed", false, block(symbols(257, pair), code{1, 1, 1}))
	add("distances incomplete", false, block(symbols(257, pair), code{1, 2}))
	add("one distance of two bits", false, block(symbols(257, pair), code{0, 2}))
	add("287 lengths", false, block(symbols(287, pair), code{1}))
	add("30 distances", true, block(symbols(257, pair), symbols(30, map[int]uint8{29: 1})))
	add("31 distances", false, block(symbols(257, pair), symbols(31, map[int]uint8{29: 1})))
	add("no code of code lengths", false, func(w *bitWriter) { w.head(true, 257, 1, code{}); w.bits(0, 1000) })
	add("code of code lengths over-subscribed", false, func(w *bitWriter) { w.head(true, 257, 1, code{1, 1, 1}); w.bits(0, 1000) })
	add("code of code lengths incomplete", false, func(w *bitWriter) { w.head(true, 257, 1, code{2, 1}); w.bits(0, 1000) })
	rle := symbols(19, map[int]uint8{0: 2, 1: 2, 16: 3, 17: 3, 18: 2})
	add("repeat of nothing", false, func(w *bitWriter) {
		w.head(true, 257, 1, rle)
		w.put(rle, 16)
		w.bits(0, 2)
		w.bits(0, 1000)
	})
	add("repeat too long", false, func(w *bitWriter) {
		w.head(true, 257, 1, rle)
		w.put(rle, 1)
		w.put(rle, 18)
		w.bits(127, 7)
		w.put(rle, 18)
		w.bits(127, 7)
		w.bits(0, 1000)
	})
	add("repeat from lengths into distances", true, func(w *bitWriter) {
		w.head(true, 258, 3, rle)
		w.put(rle, 1) // of byte 0
		w.put(rle, 18)
		w.bits(127, 7)
		w.put(rle, 18)
		w.bits(117-11, 7)
		w.put(rle, 1) // of the end
		w.put(rle, 17)
		w.bits(0, 3)
		w.put(rle, 1) // of the third distance
		w.bits(0, 20)
		w.bits(1, 1) // the end
	})
}
