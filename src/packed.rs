//! What a site has a million of, in few bytes: numbers, texts and digests one after the other, in chunks.

/// Bytes after which a new chunk begins: a single buffer would be copied as it grows, and take twice its size meanwhile.
/// Tests have several.
const CHUNK: usize = if cfg!(test) { 64 } else { 248 * 1024 };
/// Room beyond that in each chunk, for what begins before its end: together, a size that an allocator need not round up.
const BEYOND: usize = CHUNK / 31;

/// Items in bytes, each as a whole in one chunk.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    chunks: Vec<Vec<u8>>,
}

/// Where an item begins: the number of its chunk times the size of chunks, plus the place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// The highest number that a place may have.
    pub const MAX: u32 = u32::MAX >> 1;

    /// The place with a number that [`Place::number`] gave.
    pub fn of_number(number: u32) -> Place {
        Place(number)
    }

    /// Its number, at most [`Place::MAX`].
    pub fn number(self) -> u32 {
        self.0
    }
}

impl Packed {
    /// Where the next item goes, and the chunk to whose end it is written; `None` beyond two gigabytes.
    pub fn next_place(&mut self) -> Option<(Place, &mut Vec<u8>)> {
        if self.chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
            // The first may be all that there is.
            let room = if self.chunks.is_empty() { 0 } else { CHUNK + BEYOND };
            self.chunks.push(Vec::with_capacity(room));
        }
        let begin = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut()?;
        let place = u32::try_from(begin + chunk.len()).ok().filter(|place| *place <= Place::MAX)?;
        Some((Place(place), chunk))
    }

    /// The chunk to whose end the item at the last place is written.
    pub fn last_chunk(&mut self) -> Option<&mut Vec<u8>> {
        self.chunks.last_mut()
    }

    /// The bytes from a place to the end of its chunk.
    pub fn at(&self, Place(place): Place) -> &[u8] {
        let (chunk, place) = (place as usize / CHUNK, place as usize % CHUNK);
        self.chunks.get(chunk).and_then(|chunk| chunk.get(place..)).unwrap_or_default()
    }

    /// The chunks after that of a place.
    pub fn after(&self, Place(place): Place) -> std::slice::Iter<'_, Vec<u8>> {
        self.chunks.get(place as usize / CHUNK + 1..).unwrap_or_default().iter()
    }

    /// All chunks.
    pub fn into_chunks(self) -> std::vec::IntoIter<Vec<u8>> {
        self.chunks.into_iter()
    }

    /// Frees the room that was not used.
    pub fn shrink(&mut self) {
        self.chunks.last_mut().into_iter().for_each(Vec::shrink_to_fit);
    }

    /// Number of bytes.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }
}

/// Adds to a list, and returns the index.
pub fn push<T>(list: &mut Vec<T>, item: T) -> usize {
    list.push(item);
    list.len() - 1
}

/// Writes a number in as few bytes as it takes, seven bits in each.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a text after its length.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend(text.as_bytes());
}

/// Reads a number; `None` if there is none, here and below.
pub fn number(rest: &mut &[u8]) -> Option<usize> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let byte = take::<1>(rest)?[0];
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return usize::try_from(number).ok();
        }
        shift += 7;
    }
}

/// Reads bytes as they are.
pub fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

/// Reads a text.
pub fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = number(rest)?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_come_back_from_their_places(items in proptest::collection::vec((any::<u64>(), "[a-zé]{0,40}", any::<[u8; 3]>()), 0..30)) {
            let mut packed = Packed::default();
            let mut places = Vec::new();
            for (value, written, bytes) in &items {
                let (place, out) = packed.next_place().unwrap();
                put_number(out, *value);
                put_text(out, written);
                out.extend(bytes);
                places.push(place);
            }
            packed.shrink();
            for ((value, written, bytes), place) in items.iter().zip(places) {
                let rest = &mut packed.at(Place::of_number(place.number()));
                prop_assert_eq!((number(rest), text(rest), take(rest)), (Some(*value as usize), Some(&**written), Some(*bytes)));
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        assert_eq!((number(&mut &[0x80][..]), take::<2>(&mut &[1][..]), text(&mut &[2, b'a'][..])), (None, None, None));
        assert_eq!(number(&mut &[0xff; 11][..]), None, "a number of more than 64 bits");
        assert_eq!(Packed::default().at(Place(7)), b"");
    }
}
