//! Who waits for a turn: lanes served in rotation, so that one with many waiting does not delay another's few.
//!
//! Knows nothing of what a lane or a turn is, and does not wait itself.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// First in, first out within a lane; in rotation between lanes.
#[derive(Debug)]
pub(crate) struct RoundRobin<K, T> {
    lanes: HashMap<K, VecDeque<T>>,
    /// The lanes in which somebody waits, in the order of their turns.
    rotation: VecDeque<K>,
    len: usize,
}

impl<K, T> Default for RoundRobin<K, T> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), rotation: VecDeque::new(), len: 0 }
    }
}

impl<K: Hash + Eq + Copy, T> RoundRobin<K, T> {
    pub(crate) fn push(&mut self, lane: K, item: T) {
        let waiting = self.lanes.entry(lane).or_default();
        if waiting.is_empty() {
            self.rotation.push_back(lane);
        }
        waiting.push_back(item);
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let lane = self.rotation.pop_front()?;
        let waiting = self.lanes.get_mut(&lane)?;
        let item = waiting.pop_front();
        self.len -= usize::from(item.is_some());
        if waiting.is_empty() {
            // Lanes come and go with who calls: an empty one keeps no memory.
            self.lanes.remove(&lane);
        } else {
            self.rotation.push_back(lane);
        }
        item
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether this is true of somebody who waits.
    pub(crate) fn any(&self, is: impl Fn(&T) -> bool) -> bool {
        self.lanes.values().flatten().any(is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(mut queue: RoundRobin<char, u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_lane_is_served_in_the_order_of_arrival() {
        let mut queue = RoundRobin::default();
        (1..=3).for_each(|item| queue.push('a', item));
        assert_eq!(drained(queue), [1, 2, 3]);
    }

    #[test]
    fn a_long_lane_delays_a_short_one_by_one_turn() {
        let mut queue = RoundRobin::default();
        (1..=4).for_each(|item| queue.push('a', item));
        (11..=12).for_each(|item| queue.push('b', item));
        queue.push('c', 21);
        assert_eq!(drained(queue), [1, 11, 21, 2, 12, 3, 4]);
    }

    #[test]
    fn a_lane_that_ran_empty_queues_anew_and_keeps_nothing() {
        let mut queue = RoundRobin::default();
        queue.push('a', 1);
        queue.push('b', 11);
        assert_eq!(queue.pop(), Some(1));
        queue.push('a', 2);
        assert_eq!((queue.pop(), queue.pop()), (Some(11), Some(2)));
        assert!(queue.len() == 0 && queue.rotation.is_empty() && queue.lanes.is_empty());
    }
}
