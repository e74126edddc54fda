//! What a collection tells of its changes while it makes them. Knows neither who listens nor what for.

/// Hears of every change of a collection, block by block.
///
/// A label names a block within its collection, and labels in the order of their bytes are the order of the blocks. A
/// collection of a single block, which is the form of the small ones, has the empty label.
pub trait Recorder {
    /// A block of that label now has this content, whether there was one or not.
    fn put(&mut self, label: &[u8], block: &[u8]);

    /// In the block of that label, `removed` bytes at `offset` were replaced by `inserted`.
    fn splice(&mut self, label: &[u8], offset: usize, removed: usize, inserted: &[u8]);

    /// There is no block of that label any more.
    fn remove(&mut self, label: &[u8]);

    /// What stands beside the blocks is now this.
    fn header(&mut self, header: &[u8]);

    /// The change is too big to be told in parts: the whole value is new.
    fn whole(&mut self);

    /// This element (field, member, index, id) is what the change is about; for triggers, which may not be there.
    fn element(&mut self, element: &[u8]);
}

/// For changes that nobody hears of.
impl Recorder for () {
    fn put(&mut self, _label: &[u8], _block: &[u8]) {}

    fn splice(&mut self, _label: &[u8], _offset: usize, _removed: usize, _inserted: &[u8]) {}

    fn remove(&mut self, _label: &[u8]) {}

    fn header(&mut self, _header: &[u8]) {}

    fn whole(&mut self) {}

    fn element(&mut self, _element: &[u8]) {}
}
