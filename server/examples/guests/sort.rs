//! Sorts 1,024 numbers with the standard library, and again with a quicksort written out.
#![no_std]
#![no_main]

include!("prelude.rs");

fn quicksort(numbers: &mut [u32]) {
    if numbers.len() <= 12 {
        for end in 1..numbers.len() {
            let mut at = end;
            while at > 0 && numbers[at - 1] > numbers[at] {
                numbers.swap(at - 1, at);
                at -= 1;
            }
        }
        return;
    }
    let pivot = numbers[numbers.len() / 2];
    let (mut low, mut high) = (0, numbers.len() - 1);
    loop {
        while numbers[low] < pivot {
            low += 1;
        }
        while numbers[high] > pivot {
            high -= 1;
        }
        if low >= high {
            break;
        }
        numbers.swap(low, high);
        low += 1;
        high -= 1;
    }
    let (left, right) = numbers.split_at_mut(low);
    quicksort(left);
    quicksort(right);
}

fn work() -> i64 {
    let mut random = Random(1);
    let mut numbers = [0; 1_024];
    for number in &mut numbers {
        *number = random.next();
    }
    let mut again = numbers;
    numbers.sort_unstable();
    quicksort(&mut again);
    assert!(numbers == again);
    i64::from(numbers[512])
}
